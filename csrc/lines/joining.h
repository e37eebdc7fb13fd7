// The rows read for a line's strips, joined to the line, with the place of each word.
#pragma once

#include <array>

#include "lines/rows.h"
#include "lines/strips.h"

namespace crispvl::lines {

struct Corner {
    double x, y;
};
// Px of the page to a hundredth, clockwise from the text's own top left.
using Corners = std::array<Corner, 4>;

Corners corners_of(const Quad& quad);

struct ReadWord {
    std::u32string text;  // without white space
    double logprob;       // of its least sure character
    Corners quad;
};

// A line as it was read.
struct ReadLine {
    std::vector<ReadWord> words;  // from its beginning to its end
    double logprob;               // mean over its characters
    Corners quad;
    std::vector<Row> rows;  // from which it was joined
    int block;              // number of its block

    std::u32string text() const;
    size_t n_tokens() const;
};

// A line from its strips, from left to right, and the row that was read for each.
ReadLine join_strips(const LayoutLine& line, const std::vector<const Strip*>& strips,
                     const std::vector<const Row*>& rows);

}  // namespace crispvl::lines
