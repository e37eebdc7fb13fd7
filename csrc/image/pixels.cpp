#include "image/pixels.h"

#include <algorithm>

#include "image/ground.h"

namespace crispvl {
namespace {

// The limits of crispvl.inputs.images: the smallest legible letters, and the thinnest readable
// strip.
constexpr int64_t kMinSidePx = 8;
constexpr int64_t kMaxAspect = 200;

// One channel over an opaque ground. Seven extra bits and a rounded division by 255, as in Pillow's
// AlphaComposite.c.
uint8_t over(uint32_t value, uint32_t alpha, uint32_t ground) {
    constexpr uint32_t precision_bits = 7;
    if (alpha == 0) return static_cast<uint8_t>(ground);
    const uint32_t share = alpha * (1u << precision_bits);  // of 255 << precision_bits
    const uint32_t rest = (255u << precision_bits) - share;
    const uint32_t sum = value * share + ground * rest + (0x80u << precision_bits);
    return static_cast<uint8_t>((((sum >> 8) + sum) >> 8) >> precision_bits);
}

}  // namespace

void check_size(int64_t width, int64_t height) {
    // Each side first: their product may be beyond any integer.
    const bool fits = width >= 1 && height >= 1 && width <= kMaxPixels / height;
    if (fits) return;
    throw Error(ErrorKind::image, "[image] expected 1 to " + std::to_string(kMaxPixels) +
                                      " pixels; found " + std::to_string(width) + "x" +
                                      std::to_string(height) + "; scale the image down");
}

Error damaged_image(const std::string& reason) {
    return Error(ErrorKind::image, "[image] expected a complete image; found a damaged one (" +
                                       reason + "); save it again");
}

RgbImage to_rgb(const PixelView& view) {
    RgbImage image(view.width, view.height);
    if (view.format == PixelFormat::rgb) {
        const size_t n_row_bytes = static_cast<size_t>(view.width) * 3;
        for (size_t y = 0; y < static_cast<size_t>(view.height); ++y) {
            std::copy_n(view.data + y * view.stride_bytes, n_row_bytes,
                        image.pixels.data() + y * n_row_bytes);
        }
        return image;
    }
    const size_t n_bytes = bytes_per_pixel(view.format);
    const bool is_grey = view.format == PixelFormat::grey;
    const bool is_reversed = view.format == PixelFormat::bgr || view.format == PixelFormat::bgra;
    const size_t red = is_reversed ? 2 : 0;
    const size_t green = is_grey ? 0 : 1;
    const size_t blue = is_reversed || is_grey ? 0 : 2;
    const std::optional<uint8_t> told = n_bytes == 4 ? ground_of(view) : std::nullopt;
    const bool has_alpha = told.has_value();
    const uint8_t ground = told.value_or(255);
    uint8_t* out = image.pixels.data();
    for (int64_t y = 0; y < view.height; ++y) {
        const uint8_t* in = view.data + static_cast<size_t>(y) * view.stride_bytes;
        for (int64_t x = 0; x < view.width; ++x, in += n_bytes, out += 3) {
            const uint8_t alpha = has_alpha ? in[3] : 255;
            out[0] = alpha == 255 ? in[red] : over(in[red], alpha, ground);
            out[1] = alpha == 255 ? in[green] : over(in[green], alpha, ground);
            out[2] = alpha == 255 ? in[blue] : over(in[blue], alpha, ground);
        }
    }
    return image;
}

void check_readable(int64_t width, int64_t height) {
    const auto [shorter, longer] = std::minmax(width, height);
    if (shorter >= kMinSidePx && longer <= kMaxAspect * shorter) return;
    throw Error(ErrorKind::image, "[image] expected sides of at least " +
                                      std::to_string(kMinSidePx) + " px and at most " +
                                      std::to_string(kMaxAspect) + ":1; found " +
                                      std::to_string(width) + "x" + std::to_string(height) +
                                      " px; crop or enlarge it so that letters show");
}

}  // namespace crispvl
