// Which ink belongs to which word of a line's text.
#pragma once

#include <string_view>
#include <vector>

#include "lines/strips.h"

namespace crispvl::lines {

// The place of a word in its line: the first and the last word of ink that have a part in it, and
// its ends, px along the line.
struct Place {
    int first, last;
    double start, end;
};

// The place of each word of a text along a line, from left to right. Where there are as many words
// of ink, at least one, they belong together in their order. Otherwise words of ink are joined, or
// parted in proportion to the letters' usual widths, so that the widths agree best with the text's.
std::vector<Place> place_words(const std::vector<std::u32string_view>& words,
                               const std::vector<Span>& ink);

// About how wide a word is, in letters of usual width.
double text_width(std::u32string_view word);

}  // namespace crispvl::lines
