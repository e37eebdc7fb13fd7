// A page as lines are found and read in it.
#pragma once

#include "image/pixels.h"
#include "layout/grey.h"

namespace crispvl::lines {

// The one channel of a page in which its letters show, dithered ones made grey.
layout::GreyImage legible(RgbImage page);

}  // namespace crispvl::lines
