#include "layout/letters.h"

#include <cstdlib>

#include "layout/neighbours.h"
#include "layout/sets.h"

namespace crispvl::layout {
namespace {

constexpr float kFragment = 0.75f;    // of usual letters: fragments are lower
constexpr float kMostHeight = 1.25f;  // of usual letters: of fragments together
constexpr float kMostWidth = 1.5f;    // the same
constexpr float kGap = 0.13f;         // of usual letters, between two fragments
constexpr float kGapOfHigher = 0.3f;  // of the higher fragment
constexpr float kDot = 0.35f;         // of usual letters: dots are no larger
constexpr float kColonGap = 0.8f;     // of usual letters, between the dots of a colon
constexpr float kStacked = 0.5f;      // of the narrower one's width that is over the other

// Whether two pieces of ink are close above each other.
bool are_stacked(const Box& a, const Box& b, int text_height) {
    const float gap = static_cast<float>(-y_overlap(a, b));
    const float narrower = static_cast<float>(std::min(a.width(), b.width()));
    const float higher = static_cast<float>(std::max(a.height(), b.height()));
    return gap <= std::max(1.0f, kGap * static_cast<float>(text_height)) &&
           gap <= std::max(1.0f, kGapOfHigher * higher) &&
           static_cast<float>(x_overlap(a, b)) >= kStacked * narrower;
}

// Whether two pieces of ink are the dots of a colon.
bool are_colon(const Box& a, const Box& b, int text_height) {
    const float usual = static_cast<float>(text_height);
    const float most = kDot * usual;
    const auto is_dot = [&](const Box& box) {
        return static_cast<float>(box.width()) <= most && static_cast<float>(box.height()) <= most;
    };
    const int narrower = std::min(a.width(), b.width());
    return is_dot(a) && is_dot(b) && std::abs(a.width() - b.width()) <= 1 + narrower / 2 &&
           2 * x_overlap(a, b) > narrower &&
           static_cast<float>(-y_overlap(a, b)) <= kColonGap * usual;
}

}  // namespace

std::vector<Letter> find_letters(const Components& components, int text_height) {
    std::vector<Box> boxes, together;
    for (const Component& c : components.all) boxes.push_back(c.box);
    together = boxes;
    const BoxIndex index(boxes, text_height);
    const float usual = static_cast<float>(text_height);
    const int reach = static_cast<int>(kMostWidth * usual);
    Sets sets(boxes.size());
    for (size_t i = 0; i < boxes.size(); ++i) {
        const Box& box = boxes[i];
        if (static_cast<float>(box.height()) >= kFragment * usual || box.width() > reach) continue;
        const int gap = static_cast<int>(kColonGap * usual) + 1;
        const Box around{box.left, box.top - gap, box.right, box.bottom + gap};
        index.each_between(around, box.left - reach, box.right, [&](size_t j) {
            if (j == i || components.all[i].light != components.all[j].light ||
                !(are_stacked(box, boxes[j], text_height) || are_colon(box, boxes[j], text_height)))
                return;
            const size_t a = sets.root(i), b = sets.root(j);
            Box both = together[a];
            both.include(together[b]);
            if (a == b || static_cast<float>(both.height()) > kMostHeight * usual ||
                static_cast<float>(both.width()) > kMostWidth * usual)
                return;
            sets.unite(a, b);
            together[sets.root(a)] = both;
        });
    }
    std::vector<Letter> letters;
    for (std::vector<size_t>& group : sets.groups()) {
        Letter letter;
        letter.box = together[group.front()];
        letter.light = components.all[group.front()].light;
        for (const size_t i : group) letter.area += components.all[i].area;
        letter.components = std::move(group);
        letters.push_back(std::move(letter));
    }
    return letters;
}

}  // namespace crispvl::layout
