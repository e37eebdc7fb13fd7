// Pixels as callers have them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispvl {

enum class PixelFormat { grey, rgb, rgba, bgr, bgra };

// Borrowed pixels of 8 bits per channel. The alpha of rgba and bgra is straight, not
// premultiplied.
struct PixelView {
    const uint8_t* data;
    int64_t width, height;  // px
    PixelFormat format;
    size_t stride_bytes;  // from one row to the next
};

// Bytes of one pixel.
constexpr size_t bytes_per_pixel(PixelFormat format) {
    switch (format) {
        case PixelFormat::grey:
            return 1;
        case PixelFormat::rgb:
        case PixelFormat::bgr:
            return 3;
        default:
            return 4;
    }
}

}  // namespace crispvl
