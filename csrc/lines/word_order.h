// Where the words of a line are shown: Unicode's bidirectional algorithm (UAX #9), word by word.
#pragma once

#include <string_view>
#include <vector>

#include "lines/characters.h"

namespace crispvl::lines {

// The place of each word of a line, in the text's order: its first column and the one after its
// last. Columns are characters. The line runs the way of its first letter; words of the other
// direction are put the other way round among themselves.
std::vector<CharSpan> visual_spans(std::u32string_view text);

// Whether a line runs from right to left: its first letter does.
bool begins_at_right(std::u32string_view text);

}  // namespace crispvl::lines
