// The rows read for a line's strips, joined to the line, with the place of each word.
#pragma once

#include <string>
#include <vector>

#include "lines/read_word.h"
#include "lines/rows.h"
#include "lines/strips.h"

namespace crispvl::lines {

Corners corners_of(const Quad& quad);

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

// A line that is a colon, told by its ink.
ReadLine colon_line(const LayoutLine& line);

// A line from its strips, from left to right, and the row that was read for each.
ReadLine join_strips(const LayoutLine& line, const std::vector<const Strip*>& strips,
                     const std::vector<const Row*>& rows);

}  // namespace crispvl::lines
