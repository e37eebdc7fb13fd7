// Images of the C API's callers, checked.
#pragma once

#include "image/tiling.h"
#include "include/crispvl.h"
#include "model/config.h"

namespace crispvl::capi {

// Opens a caller's image as upright, opaque RGB. Throws Error{argument, not_found, image}.
RgbImage open_image(const crispvl_image* image);

// The model's rule for an image `alone` in its prompt or not, with the caller's numbers where they
// are not 0.
TilingConfig tiling_config(const ModelConfig& config, int32_t min_tiles, int32_t max_tiles,
                           bool alone);

}  // namespace crispvl::capi
