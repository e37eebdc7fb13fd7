// Upright rules, over which no line of text goes on.
#pragma once

#include "layout/neighbours.h"

namespace crispvl::layout {

class Walls {
public:
    Walls(const std::vector<Box>& rules, int text_height)
        : walls_(upright(rules)), index_(walls_, text_height) {}

    // Whether a rule is between two boxes of one row, the first at the left.
    bool part(const Box& left, const Box& right) const {
        const int middle =
            (std::max(left.top, right.top) + std::min(left.bottom, right.bottom)) / 2;
        const Box row{left.left, middle, right.right, middle + 1};
        bool found = false;
        index_.each_between(row, (left.left + left.right) / 2, (right.left + right.right) / 2,
                            [&](size_t i) {
                                const Box& wall = walls_[i];
                                found = found || (wall.top <= middle && wall.bottom > middle &&
                                                  wall.right - 1 <= right.left + kOverlapPx &&
                                                  wall.left + 1 >= left.right - kOverlapPx);
                            });
        return found;
    }

private:
    static constexpr int kOverlapPx = 2;  // of letters that touch a rule

    static std::vector<Box> upright(const std::vector<Box>& rules) {
        std::vector<Box> walls;
        for (const Box& rule : rules) {
            if (rule.height() > 4 * rule.width()) walls.push_back(rule);
        }
        return walls;
    }

    std::vector<Box> walls_;
    BoxIndex index_;
};

}  // namespace crispvl::layout
