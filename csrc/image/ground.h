// The ground that a transparent picture is put on, so that its letters show.
#pragma once

#include <cstdint>
#include <optional>

#include "image/pixel_view.h"

namespace crispvl {

// The grey level to put behind pixels with alpha: white; black where what is drawn is light; grey
// where it is both. Nothing where the alpha hides everything: programs that know no transparency
// write 0 into all of it, and the colours are the picture.
std::optional<uint8_t> ground_of(const PixelView& view);

}  // namespace crispvl
