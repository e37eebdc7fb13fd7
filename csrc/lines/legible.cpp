#include "lines/legible.h"

#include <utility>

#include "lines/contrast.h"
#include "lines/dither.h"

namespace crispvl::lines {

layout::GreyImage legible(RgbImage page) {
    layout::GreyImage luma = luma_of(page);
    if (smooth_dots(page, luma)) luma = luma_of(page);
    return contrast_channel(page, std::move(luma));
}

}  // namespace crispvl::lines
