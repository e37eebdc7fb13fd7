// Pages drawn by a computer, which never were on paper: their print is read at a smaller size.
#pragma once

#include "image/pixel_view.h"

namespace crispvl::lines {

// Of the height of strips, at which clean print is read about as well.
constexpr double kDrawnScale = 0.85;

// Whether a grey page has neither a scanner's noise nor the hard edges of a fax.
bool is_drawn(const PixelView& page);

}  // namespace crispvl::lines
