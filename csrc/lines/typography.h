// How lines look beside each other: their size, where they end, and which are headings.
#pragma once

#include <vector>

#include "layout/layout.h"

namespace crispvl::lines {

// Lines of some rows of a page, by their numbers.
using Rows = std::vector<std::vector<int>>;

// The looks of a page's lines, which have to outlive it.
class Typography {
public:
    explicit Typography(const std::vector<LayoutLine>& lines);

    // The level of a heading made of rows of lines; 0 where they are none. Bold lines of the text's
    // own size are one where nothing is beside them.
    int heading_level(const Rows& rows) const;

    // Whether the next line's first word would clearly have had room after a line. How far lines
    // reach is told by those that begin where it does and are about as large.
    bool ends_early(int number, int following) const;

private:
    double height(int number) const { return heights_[static_cast<size_t>(number)]; }
    // Where the longest line ends that is of a kind with this.
    double reach(int number) const;
    // How far a corner of a line is in the direction of another.
    double along(int number, int of, size_t corner) const;

    const std::vector<LayoutLine>& lines_;
    std::vector<double> heights_, strokes_;
    double usual_size_, usual_stroke_;
    int n_usual_ = 0;
};

// Whether of two lines of about one size neither is bold beside the other.
bool is_one_weight(const LayoutLine& one, const LayoutLine& other);

}  // namespace crispvl::lines
