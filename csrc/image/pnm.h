// Portable bitmaps, graymaps and pixmaps (Netpbm's PNM): plain and raw, of 1 to 16 bits.
#pragma once

#include "image/pixels.h"

namespace crispvl {

// Whether a file begins as one of the six kinds does, P1 to P6.
bool is_pnm(const uint8_t* data, size_t n_bytes);

// Decodes a file for which is_pnm() holds, as Pillow and crispvl.inputs.images do: values are
// scaled from the file's own maximum to 255. Throws Error{image}.
RgbImage decode_pnm(const uint8_t* data, size_t n_bytes);

}  // namespace crispvl
