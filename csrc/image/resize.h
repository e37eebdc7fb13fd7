// Bicubic resizing that gives Pillow 13's bytes: `image.resize(size, Image.Resampling.BICUBIC)`.
#pragma once

#include "image/pixels.h"

namespace crispvl {

// Resizes RGB pixels: one pass over columns, one over rows, each rounded to 8 bits. Where an axis
// shrinks, its filter widens (antialiasing). Follows Pillow's src/libImaging/Resample.c.
RgbImage resize_bicubic(const RgbImage& image, int64_t width, int64_t height);

}  // namespace crispvl
