#include "layout/room.h"

#include <cmath>

#include "layout/neighbours.h"

namespace crispvl::layout {
namespace {

constexpr float kFringePx = 1.5f;  // of grey around ink
constexpr int kBesidePx = 2;       // columns at each side of ink that have its fringe

// How far a line's own ink reaches at each px along it, over and under the baseline.
struct Reach {
    std::vector<float> over, under;
};

template <typename Visit>
void each_column(const TextLine& line, const Run& run, Visit&& visit) {
    const int from = std::max(0, run.from - line.box.left - kBesidePx);
    const int to = std::min(line.box.width(), run.to - line.box.left + kBesidePx);
    for (int i = from; i < to; ++i) {
        visit(static_cast<size_t>(i), line.baseline_at(static_cast<float>(line.box.left + i)));
    }
}

Reach own_reach(const Components& components, const TextLine& line) {
    const size_t n = static_cast<size_t>(line.box.width());
    // Where letters are, other ink never is.
    Reach reach{std::vector<float>(n, line.core), std::vector<float>(n, 0)};
    each_run(components, line, [&](const Run& run) {
        const float y = static_cast<float>(run.y);
        each_column(line, run, [&](size_t i, float base) {
            reach.over[i] = std::max(reach.over[i], base - y + kFringePx);
            reach.under[i] = std::max(reach.under[i], y + 1 - base + kFringePx);
        });
    });
    return reach;
}

void limit(const Components& components, const TextLine& other, const Reach& own, TextLine& line) {
    each_run(components, other, [&](const Run& run) {
        const float y = static_cast<float>(run.y);
        each_column(line, run, [&](size_t i, float base) {
            if (y + 0.5f < base - 0.5f * line.core) {
                const float free = std::max(own.over[i], base - y - 1 - kFringePx);
                line.room_over[i] = std::min(line.room_over[i], free);
            } else {
                const float free = std::max(own.under[i], y - base - kFringePx);
                line.room_under[i] = std::min(line.room_under[i], free);
            }
        });
    });
}

}  // namespace

void find_room(const Components& components, std::vector<TextLine>& lines) {
    std::vector<Box> boxes;
    int widest = 0;
    float core = 4;
    for (const TextLine& line : lines) {
        boxes.push_back(line.box);
        widest = std::max(widest, line.box.width());
        core = std::max(core, line.core);
    }
    const BoxIndex index(boxes, static_cast<int>(2 * core));
    for (size_t i = 0; i < lines.size(); ++i) {
        TextLine& line = lines[i];
        const Box& box = line.box;
        const size_t n = static_cast<size_t>(box.width());
        line.room_over.assign(n, kEndless);
        line.room_under.assign(n, kEndless);
        const int reach = static_cast<int>(line.x_height) + 1;
        const Box around{box.left, box.top - reach, box.right, box.bottom + reach};
        const Reach own = own_reach(components, line);
        std::vector<size_t> beside;
        index.each_between(around, box.left - widest, box.right, [&](size_t j) {
            const bool near = j != i && x_overlap(boxes[j], around) > 0 &&
                              y_overlap(boxes[j], around) > 0 && lines[j].light == line.light;
            if (near) beside.push_back(j);
        });
        std::sort(beside.begin(), beside.end());
        beside.erase(std::unique(beside.begin(), beside.end()), beside.end());
        for (const size_t j : beside) limit(components, lines[j], own, line);
    }
}

}  // namespace crispvl::layout
