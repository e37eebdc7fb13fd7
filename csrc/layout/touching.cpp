#include "layout/touching.h"

#include <cstdlib>

#include "layout/neighbours.h"

namespace crispvl::layout {
namespace {

constexpr float kLeastHeight = 1.45f, kMostHeight = 3.2f;  // in letters, of two rows together
constexpr float kMostWidth = 8;                            // in letters
constexpr float kZone = 0.25f;   // of the height at each end, where no cut is
constexpr float kNarrow = 1.3f;  // in letters: two letters, and no initial of two lines
constexpr float kThin = 0.5f;    // of a usual row of px, that is inked where it is cut
constexpr float kThinOfNarrow = 1;
constexpr float kNear = 5;  // in letters, to the letters of both rows beside it
constexpr float kMateLow = 0.5f, kMateHigh = 1.4f;  // in letters, how high those are
constexpr float kBeyond = 0.25f;                    // in letters, that they may reach over the cut
constexpr int kLeastMates = 2;                      // in each row

// The row of px with the least ink between the ends of a component; -1 where none is thin.
int thinnest_row(const Components& components, const Component& c, int text_height) {
    std::vector<int> inked(static_cast<size_t>(c.box.height()));
    for (const Run* run = components.begin(c); run != components.end(c); ++run)
        inked[static_cast<size_t>(run->y - c.box.top)] += run->to - run->from;
    const int n = c.box.height(), margin = static_cast<int>(kZone * static_cast<float>(n));
    int best = -1, least = 1 << 30;
    for (int i = margin; i < n - margin; ++i) {
        const int ink = inked[static_cast<size_t>(i)];
        const bool nearer = ink == least && std::abs(2 * i - n) < std::abs(2 * best - n);
        if (ink < least || nearer) least = ink, best = i;
    }
    const float usual = static_cast<float>(c.area) / static_cast<float>(n);
    const bool narrow =
        static_cast<float>(c.box.width()) < kNarrow * static_cast<float>(text_height);
    const float thin = narrow ? kThinOfNarrow : kThin;
    return best >= 0 && static_cast<float>(least) <= thin * usual ? c.box.top + best : -1;
}

// Whether letters beside a component are in two rows that part where it is to be cut.
bool parts_rows(const BoxIndex& index, const std::vector<Box>& boxes, const Box& box, int cut,
                int text_height) {
    const float usual = static_cast<float>(text_height);
    const int reach = static_cast<int>(kNear * usual),
              beyond = static_cast<int>(kBeyond * usual) + 1;
    int n_above = 0, n_below = 0;
    index.each_between(box, box.left - reach, box.right + reach, [&](size_t i) {
        const Box& other = boxes[i];
        const float height = static_cast<float>(other.height());
        if (height < kMateLow * usual || height > kMateHigh * usual) return;
        n_above += other.bottom <= cut + beyond && other.bottom > box.top;
        n_below += other.top >= cut - beyond && other.top < box.bottom;
    });
    return n_above >= kLeastMates && n_below >= kLeastMates;
}

}  // namespace

void split_touching(int text_height, Components& components) {
    std::vector<Box> boxes;
    for (const Component& c : components.all) boxes.push_back(c.box);
    const BoxIndex index(boxes, text_height);
    const float usual = static_cast<float>(text_height);
    for (size_t i = 0; i < boxes.size(); ++i) {
        Component& upper = components.all[i];
        const float height = static_cast<float>(upper.box.height());
        if (height < kLeastHeight * usual || height > kMostHeight * usual ||
            static_cast<float>(upper.box.width()) > kMostWidth * usual)
            continue;
        const int cut = thinnest_row(components, upper, text_height);
        if (cut < 0 || !parts_rows(index, boxes, upper.box, cut, text_height)) continue;
        // Runs are sorted from top to bottom.
        const Component whole = upper;
        const Run* first = components.begin(whole);
        const Run* end = components.end(whole);
        const Run* middle = std::find_if(first, end, [&](const Run& run) { return run.y >= cut; });
        const auto component_of = [&](const Run* from, const Run* to) {
            Component c{{from->from, from->y, from->to, from->y + 1}, 0, 0, 0, whole.light};
            c.first_run = static_cast<int>(from - components.runs.data());
            c.n_runs = static_cast<int>(to - from);
            for (const Run* run = from; run != to; ++run) {
                c.box.include({run->from, run->y, run->to, run->y + 1});
                c.area += run->to - run->from;
            }
            return c;
        };
        if (middle == first || middle == end) continue;
        const Component lower = component_of(middle, end);
        components.all[i] = component_of(first, middle);
        components.all.push_back(lower);
    }
}

}  // namespace crispvl::layout
