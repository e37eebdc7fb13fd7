// Encoded images: JPEG, PNG, GIF (first frame) and BMP through stb_image, and PNM.
#pragma once

#include "image/pixels.h"

namespace crispvl {

// Decodes a file's bytes to an upright, opaque RGB image, as crispvl.inputs.images does: the EXIF
// orientation is applied, pixels are made square, transparency is put on a ground that shows what
// is drawn, 10 to 16 bits are scaled to 8. Sizes, and that the file does not break off, are
// checked before anything is decoded, and no allocation exceeds what they call for. A JPEG's
// values may differ from libjpeg's by a few levels. Throws Error{image}.
RgbImage decode_image(const uint8_t* data, size_t n_bytes);

}  // namespace crispvl
