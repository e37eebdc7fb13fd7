// A word as it was read, and where it is on the page.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>

namespace crispvl::lines {

struct Corner {
    double x, y;
};
// Px of the page to a hundredth, clockwise from the text's own top left.
using Corners = std::array<Corner, 4>;

struct ReadWord {
    std::u32string text;  // without white space
    double logprob;       // of its least sure character
    Corners quad;
    size_t n_tokens = 0;  // of its line, up to its end
};

// A word from its two parts, whose first is right of the other if mirrored.
inline ReadWord joined(const ReadWord& begin, const ReadWord& end, bool is_mirrored) {
    const Corners& left = (is_mirrored ? end : begin).quad;
    const Corners& right = (is_mirrored ? begin : end).quad;
    return {begin.text + end.text,
            std::min(begin.logprob, end.logprob),
            {left[0], right[1], right[2], left[3]},
            end.n_tokens};
}

}  // namespace crispvl::lines
