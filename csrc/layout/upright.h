// Whether lines stand on their feet or on their heads.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

// True where the letters of the lines, as found, are surely upside down. Letters by their shapes
// (models/layout/train_upright.py), lines by the ink over and under their x-height: Latin print has
// far more ascenders than descenders.
bool is_upside_down(const Components& components, const std::vector<TextLine>& lines);

}  // namespace crispvl::layout
