// The order in which lines are read: down a column, then down the next one.
#pragma once

#include <vector>

#include "layout/text_line.h"

namespace crispvl::layout {

// Indices of all lines, which need their boxes, baselines and heights.
std::vector<int> reading_order(const std::vector<TextLine>& lines);

}  // namespace crispvl::layout
