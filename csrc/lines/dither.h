// Shades that are drawn as dots on pages of black and white, made grey again. A model reads faint
// grey letters; of scattered dots it makes nothing, and the layout no lines.
#pragma once

#include "image/pixels.h"
#include "layout/grey.h"

namespace crispvl::lines {

// Makes the dithered parts of a page, of which `luma` is the luma, shades of grey; returns whether
// it has any.
bool smooth_dots(RgbImage& page, const layout::GreyImage& luma);

}  // namespace crispvl::lines
