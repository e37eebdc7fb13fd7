// What is smaller than a line and belongs to one.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

// Gives small marks (dots, accents, commas, hyphens, splinters) to the nearest line of larger
// letters. The last lines are marks themselves where a larger line is near.
void attach_marks(const Components& components, int text_height, std::vector<TextLine>& lines);

// Joins lines that cover the same place, as splinters of broken print and what is left of letters
// do; a far larger shape around small print is left alone.
void join_overlapping(const Components& components, int text_height, std::vector<TextLine>& lines);

}  // namespace crispvl::layout
