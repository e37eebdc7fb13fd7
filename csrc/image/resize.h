// Resizing that gives Pillow 13's bytes: `image.resize(size, Image.Resampling.BICUBIC)`, or another
// of its filters.
#pragma once

#include "image/pixels.h"

namespace crispvl {

enum class Filter { bicubic, bilinear, box };

// Resizes RGB pixels: one pass over columns, one over rows, each rounded to 8 bits. Where an axis
// shrinks, its filter widens (antialiasing). Follows Pillow's src/libImaging/Resample.c.
RgbImage resize(const RgbImage& image, int64_t width, int64_t height, Filter filter);

}  // namespace crispvl
