// The EXIF orientation of a JPEG or PNG file.
#pragma once

#include "image/pixels.h"

namespace crispvl {

/// Reads tag 0x0112 of the first image directory (CIPA DC-008): 1 to 8. What is absent, damaged or
/// of another kind counts as 1, upright.
int exif_orientation(const uint8_t* data, size_t n_bytes);

/// Turns and mirrors an image so that it is upright.
RgbImage turn_upright(RgbImage image, int orientation);

}  // namespace crispvl
