// Pages whose letters differ from the paper in colour and not in brightness, or hardly at all.
#pragma once

#include "image/pixels.h"
#include "layout/grey.h"

namespace crispvl::lines {

// Luma as Pillow rounds it.
layout::GreyImage luma_of(const RgbImage& page);

// The one channel of a page in which its letters can be told. That is luma, but for pages like
// magenta on green of the same brightness, which in luma is even grey: those keep red, green or
// blue. Faint letters are made stronger. `luma` is the page's.
layout::GreyImage contrast_channel(const RgbImage& page, layout::GreyImage luma);

}  // namespace crispvl::lines
