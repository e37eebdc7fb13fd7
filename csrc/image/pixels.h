// Pixels as callers have them, and as the model reads them: 8-bit RGB, rows from top to bottom.
// Follows python/crispvl/inputs/images.py, which is the reference, to the byte.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "image/pixel_view.h"

namespace crispvl {

struct RgbImage {
    int64_t width = 0, height = 0;  // px
    std::vector<uint8_t> pixels;    // [height, width, 3]
    bool is_damaged = false;        // its file's data is; see jpeg_is_damaged

    RgbImage() = default;
    RgbImage(int64_t width_px, int64_t height_px)
        : width(width_px),
          height(height_px),
          pixels(static_cast<size_t>(width_px) * static_cast<size_t>(height_px) * 3) {}
};

// The most pixels of an image, as in crispvl.inputs.images.
constexpr int64_t kMaxPixels = 178956970;

// Throws Error{image} where an image has no pixel or more than kMaxPixels.
void check_size(int64_t width, int64_t height);

// What is thrown where an encoded image breaks off or contradicts itself.
Error damaged_image(const std::string& reason);

// Copies to RGB: grey is repeated, transparency is composited, as Pillow does it, on ground_of().
RgbImage to_rgb(const PixelView& view);

// Throws Error{image} where an image is too small or too thin for anything to be read in it.
void check_readable(int64_t width, int64_t height);

}  // namespace crispvl
