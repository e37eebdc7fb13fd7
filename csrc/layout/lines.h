// Letters to lines.
#pragma once

#include <functional>

#include "layout/text_line.h"

namespace crispvl::layout {

// Lines of text, none of which runs over a column's edge or an upright rule. The image must be
// upright. Linear in the number of components but for crowds of overlapping ones.
//
// Letters are linked to the next one at their right of like height (as in the nearest-neighbour
// clustering of O'Gorman's document spectrum, 1993, without its fixed distances), which gives
// pieces of lines with a baseline and an x-height of their own; then small marks join the nearest
// piece, pieces join along their baselines, and what spans several lines is shared among them.
std::vector<TextLine> find_lines(const Components& components, const std::vector<Box>& rules);

}  // namespace crispvl::layout
