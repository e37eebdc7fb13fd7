// Lines as a reader wants them: level, of one height, dark on light.
#pragma once

#include "image/pixels.h"
#include "layout/layout.h"

namespace crispvl {

struct StripOptions {
    int64_t height_px = 26;  // of the strip
    float from = 0, to = 0;  // px along the line, from the left edge of its quad
    float stretch = 1;       // of its width, besides what the height asks for
};

// The stretch of a line from `from` to `to` with up to 3 strip px of what is beside it: grey
// [height_px, width], ink dark on near-white paper, its band (LayoutLine) scaled to the height.
// Where the page has fewer px per strip px than one it is interpolated, otherwise averaged.
// Throws Error{argument} for a height below 4 px, a stretch of no length or one below 0.1.
struct Strip {
    int64_t width = 0, height = 0;
    std::vector<uint8_t> grey;
};
Strip cut_line(const PixelView& page, const LayoutLine& line, const StripOptions& options);

// The width of that strip, px.
int64_t cut_width(const LayoutLine& line, const StripOptions& options);

}  // namespace crispvl
