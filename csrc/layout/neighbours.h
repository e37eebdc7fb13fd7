// Finds the boxes beside a box without looking at all of them.
#pragma once

#include <vector>

#include "layout/geometry.h"

namespace crispvl::layout {

class BoxIndex {
public:
    // `row_px`: about the height of a usual box. Keeps a reference to the boxes.
    BoxIndex(const std::vector<Box>& boxes, int row_px);

    // Calls visit(j) for boxes that share a row with `box` and have their left edge in
    // [from, to), from left to right within each row; a box of several rows comes several times.
    template <typename Visit>
    void each_between(const Box& box, int from, int to, Visit&& visit) const {
        for (int row = row_of(box.top); row <= row_of(box.bottom - 1); ++row) {
            const std::vector<int>& members = rows_[static_cast<size_t>(row)];
            auto it = std::lower_bound(members.begin(), members.end(), from, [&](int i, int x) {
                return boxes_[static_cast<size_t>(i)].left < x;
            });
            for (; it != members.end() && boxes_[static_cast<size_t>(*it)].left < to; ++it) {
                visit(static_cast<size_t>(*it));
            }
        }
    }

    // Px to the nearest box at the right that shares half of the lower one's height; `reach` where
    // there is none nearer.
    int gap_to_right(size_t i, int reach) const;

private:
    int row_of(int y) const {
        return std::clamp((y - top_) / row_px_, 0, static_cast<int>(rows_.size()) - 1);
    }

    const std::vector<Box>& boxes_;
    int row_px_, top_ = 0;
    std::vector<std::vector<int>> rows_;  // boxes by their left edges
};

}  // namespace crispvl::layout
