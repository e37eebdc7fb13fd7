// Shades that are drawn as dots on pages of black and white, made grey again. A model reads faint
// grey letters; of scattered dots it makes nothing, and the layout no lines.
#pragma once

#include "image/pixels.h"

namespace crispvl::lines {

// Makes the dithered parts of a page shades of grey; returns whether it has any.
bool smooth_dots(RgbImage& page);

}  // namespace crispvl::lines
