// The page as layout looks at it: one channel, at a scale where print still has its shapes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/interrupt.h"
#include "image/pixels.h"
#include "layout/geometry.h"

namespace crispvl::layout {

struct GreyImage {
    int width = 0, height = 0;    // px
    std::vector<uint8_t> pixels;  // [height, width], 0 is black

    GreyImage() = default;
    GreyImage(int width_px, int height_px)
        : width(width_px),
          height(height_px),
          pixels(static_cast<size_t>(width_px) * static_cast<size_t>(height_px)) {}
    uint8_t* row(int y) {
        return pixels.data() + static_cast<size_t>(y) * static_cast<size_t>(width);
    }
    const uint8_t* row(int y) const {
        return pixels.data() + static_cast<size_t>(y) * static_cast<size_t>(width);
    }
};

// How many px of the page, along each axis, make one of the working image: 1 for A4 up to 260 dpi.
double working_factor(int64_t width, int64_t height);
// The same for a page whose letters turned out to be `text_height` px high at `factor`: less where
// that is too small for them to have their shapes.
double finer_factor(int64_t width, int64_t height, double factor, int text_height);

// Means of squares of factor × factor px; transparency is composited on white.
GreyImage shrink_to_grey(const PixelView& page, double factor, Interrupt* interrupt);

// The image turned counter-clockwise by `radians` about its centre, on a canvas that holds all of
// it; what comes in at the corners repeats the edge. `to_source` maps the result's px to those of
// `image`.
GreyImage turn(const GreyImage& image, double radians, Frame& to_source);

}  // namespace crispvl::layout
