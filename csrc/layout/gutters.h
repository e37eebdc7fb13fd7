// White space that runs down a page between columns.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

class Gutters {
public:
    // Keeps a reference to the lines (or pieces of lines).
    explicit Gutters(const std::vector<TextLine>& lines);

    // In how many rows above and below the gap between two pieces of one row goes on, with text on
    // both of its sides.
    int rows_between(size_t left, size_t right) const;

private:
    int rows_of_gap(size_t left, size_t right, bool upwards) const;

    const std::vector<TextLine>& lines_;
    std::vector<int> by_top_;
};

}  // namespace crispvl::layout
