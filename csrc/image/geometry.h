// A picture's pixels as a person sees them: square, and the right way up.
#pragma once

#include "image/exif.h"
#include "image/pixels.h"

namespace crispvl {

// What a JPEG, PNG or BMP file says of its resolution; 1 and 1 where it says nothing.
PixelDensity pixel_density(const uint8_t* data, size_t n_bytes);

// Enlarges an image along the axis in which it has fewer pixels per unit of length, as
// crispvl.inputs.pixels does: where the densities are not nearly the same, and credible.
RgbImage squared(RgbImage image, const PixelDensity& density);

// Turns and mirrors an image by an EXIF orientation so that it is upright.
RgbImage turn_upright(RgbImage image, int orientation);

}  // namespace crispvl
