// A word as it was read, and where it is on the page.
#pragma once

#include <array>
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
};

}  // namespace crispvl::lines
