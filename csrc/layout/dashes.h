// Rules that are no single stroke: dashed and dotted lines, and rules in bad print.
#pragma once

#include "layout/components.h"

namespace crispvl::layout {

// Finds level rows of flat pieces far longer than a word, and upright columns of dots, and takes
// their components out.
std::vector<Box> take_dashes(Components& components, int text_height);

}  // namespace crispvl::layout
