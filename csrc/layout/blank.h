// Whether there is ink on a page, to tell a blank one before any model sees it.
#pragma once

#include "image/pixels.h"

namespace crispvl {

// Whether a page holds nothing to read. The paper may be of any colour and unevenly lit; ink may
// differ from it in any of red, green and blue. Noise and specks of few pixels are no ink.
bool is_blank(const RgbImage& page);

}  // namespace crispvl
