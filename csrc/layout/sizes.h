// One size for lines of one print.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

// Corrects the x-heights and baselines of lines too short to tell them, by longer ones: those in
// the same row, or else those near of the same height. The lines must be sorted by baselines.
void settle_sizes(const Components& components, std::vector<TextLine>& lines);

}  // namespace crispvl::layout
