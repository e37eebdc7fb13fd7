#include "image/geometry.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "image/bytes.h"
#include "image/exif.h"
#include "image/jpeg_segments.h"
#include "image/png_chunks.h"
#include "image/resize.h"

namespace crispvl {
namespace {

// As in crispvl.inputs.pixels: faxes have pixels of 1 to 2.1, and what is written is rounded.
constexpr double kSquareEnough = 1.01, kGreatestAspect = 4.0;

std::optional<PixelDensity> known(uint32_t x, uint32_t y) {
    if (x == 0 || y == 0) return std::nullopt;
    return PixelDensity{static_cast<double>(x), static_cast<double>(y)};
}

// JFIF 1.02: mark and version, then a unit, and the pixels per unit.
std::optional<PixelDensity> jfif_density(const Bytes& file, bool& has_unit) {
    constexpr uint32_t kApp0 = 0xE0;
    std::optional<JpegSegment> segment = next_jpeg_segment(file, 0);
    for (; segment && segment->marker != JpegSegment::kScan;
         segment = next_jpeg_segment(file, segment->end)) {
        const Bytes body{segment->body};
        if (segment->marker != kApp0 || !body.begins("JFIF") || !body.has(8, 4)) continue;
        has_unit = body.integer(7, 1) != 0;
        return known(body.integer(8, 2), body.integer(10, 2));
    }
    return std::nullopt;
}

std::optional<PixelDensity> png_density(const Bytes& file) {
    const Bytes chunk{png_chunk(file, "pHYs")};
    return known(chunk.integer(0, 4), chunk.integer(4, 4));
}

// Pixels per metre; the oldest kind of header, of 12 bytes, has none.
std::optional<PixelDensity> bmp_density(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes, true);
    if (file.integer(14, 4) < 40) return std::nullopt;
    return known(file.integer(38, 4), file.integer(42, 4));
}

// GIF89a, 18: a pixel's width is 1/64 of the byte + 15 of its height; 0 tells nothing.
std::optional<PixelDensity> gif_density(const Bytes& file) {
    const uint32_t aspect = file.integer(12, 1);
    return aspect == 0 ? std::nullopt : known(64, aspect + 15);
}

}  // namespace

PixelDensity pixel_density(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes);
    std::optional<PixelDensity> density;
    if (file.begins("BM")) density = bmp_density(data, n_bytes);
    if (file.begins("\x89PNG")) density = png_density(file);
    if (file.begins("GIF8")) density = gif_density(file);
    bool has_unit = false;
    if (file.begins("\xFF\xD8")) density = jfif_density(file, has_unit);
    const bool is_certain = density && (has_unit || !file.begins("\xFF\xD8"));
    // A JPEG that holds EXIF says "1 per no unit" in JFIF's block, if it has one.
    if (!is_certain) {
        if (const auto told = Exif(data, n_bytes).density()) density = told;
    }
    return density.value_or(PixelDensity{1, 1});
}

RgbImage squared(RgbImage image, const PixelDensity& density) {
    const double across = density.y / density.x, down = density.x / density.y;
    const double aspect = std::max(across, down);
    if (!(aspect > kSquareEnough && aspect <= kGreatestAspect)) return image;
    const double n_columns = static_cast<double>(image.width);
    const double n_rows = static_cast<double>(image.height);
    double width = n_columns * std::max(1.0, across), height = n_rows * std::max(1.0, down);
    if (width * height > static_cast<double>(kMaxPixels)) {  // rather lose detail in one axis
        width = n_columns * std::min(1.0, across);
        height = n_rows * std::min(1.0, down);
    }
    const auto whole = [](double px) {
        return std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(px)));
    };
    return resize(image, whole(width), whole(height), Filter::bicubic);
}

RgbImage turn_upright(RgbImage image, int orientation) {
    if (orientation <= 1 || orientation > 8) return image;
    // Orientations 5 to 8 are transposed; each of the others mirrors an axis or both.
    const bool transposed = orientation >= 5;
    const bool from_right =
        orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom =
        orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    RgbImage out(transposed ? image.height : image.width, transposed ? image.width : image.height);
    uint8_t* to = out.pixels.data();
    for (int64_t y = 0; y < out.height; ++y) {
        for (int64_t x = 0; x < out.width; ++x, to += 3) {
            int64_t column = transposed ? y : x, row = transposed ? x : y;
            if (from_right) column = image.width - 1 - column;
            if (from_bottom) row = image.height - 1 - row;
            std::copy_n(image.pixels.data() + (row * image.width + column) * 3, 3, to);
        }
    }
    return out;
}

}  // namespace crispvl
