#include "image/decode.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "image/bytes.h"
#include "image/exif.h"
#include "image/geometry.h"
#include "image/gif_frame.h"
#include "image/jpeg_damage.h"
#include "image/jpeg_segments.h"
#include "image/png_chunks.h"
#include "image/pnm.h"
#include "image/sample_range.h"

namespace {

// The largest allocation that the image being decoded on this thread may ask for: without it a
// small file could inflate to any size.
thread_local size_t allocation_limit = 0;

void* limited_malloc(size_t n_bytes) {
    return n_bytes <= allocation_limit ? std::malloc(n_bytes) : nullptr;
}

void* limited_realloc(void* block, size_t n_bytes) {
    return n_bytes <= allocation_limit ? std::realloc(block, n_bytes) : nullptr;
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_GIF
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_FAILURE_USERMSG
#define STBI_MALLOC(size) limited_malloc(size)
#define STBI_REALLOC(block, size) limited_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#include "stb_image.h"

namespace crispvl {
namespace {

template <class T>
using Decoded = std::unique_ptr<T, void (*)(void*)>;

Error unusable(const std::string& expected, const std::string& found, const char* remedy) {
    return Error(ErrorKind::image,
                 "[image] expected " + expected + "; found " + found + "; " + remedy);
}

Error damaged() {
    const char* reason = stbi_failure_reason();
    return damaged_image(reason == nullptr ? "?" : reason);
}

// A BMP's rows are never compressed here, so the header tells how long it must be: the bits of a
// pixel are at byte 28, or 24 in the oldest kind of header.
bool bmp_breaks_off(const uint8_t* data, size_t n_bytes, int width, int height) {
    if (n_bytes < 30) return false;
    const size_t at = data[14] == 12 ? 24 : 28;
    const size_t n_bits = data[at] | size_t{data[at + 1]} << 8;
    const size_t begin = data[10] | size_t{data[11]} << 8 | size_t{data[12]} << 16;  // of the rows
    const size_t row_bytes = static_cast<size_t>(width) * n_bits / 8;
    const size_t stride = (static_cast<size_t>(width) * n_bits + 31) / 32 * 4;
    return begin + stride * (static_cast<size_t>(height) - 1) + row_bytes > n_bytes;
}

bool jpeg_breaks_off(const Bytes& file) {
    std::optional<JpegSegment> segment = next_jpeg_segment(file, 0);
    while (segment && segment->marker != JpegSegment::kEnd) {
        segment = next_jpeg_segment(file, segment->end);
    }
    return !segment;
}

// stb_image fills up what breaks off; only of PNG it asks for the rest itself.
bool breaks_off(const uint8_t* data, size_t n_bytes, int width, int height) {
    const Bytes file = bytes_of(data, n_bytes);
    if (file.begins("BM")) return bmp_breaks_off(data, n_bytes, width, height);
    if (file.begins("GIF8")) return !first_gif_frame(data, n_bytes);
    return file.begins("\xFF\xD8") && jpeg_breaks_off(file);
}

// The fourth byte of a BMP's pixel means nothing without a mask for it, as without compression
// (byte 30).
bool is_opaque_bmp(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes);
    return file.begins("BM") && file.integer(30, 4) == 0;
}

// Room for the decoders' working copies: 16-bit RGBA twice, in blocks of up to 64 px, and the
// file's own bytes.
size_t limit_for(int width, int height, size_t n_bytes) {
    constexpr size_t slack_px = 64, bytes_per_px = 16, slack_bytes = size_t{1} << 20;
    const size_t n_px =
        (static_cast<size_t>(width) + slack_px) * (static_cast<size_t>(height) + slack_px);
    return n_px * bytes_per_px + n_bytes + slack_bytes;
}

// 16-bit samples scaled to 8 bits by the range that they use. Nothing for colours of all 16 bits:
// of those Pillow takes the upper byte, as stb_image does.
std::optional<RgbImage> decode_wide(const uint8_t* data, int n_bytes, bool is_grey) {
    int width = 0, height = 0, n_channels = 0;
    const Decoded<uint16_t> samples(
        stbi_load_16_from_memory(data, n_bytes, &width, &height, &n_channels, 4), std::free);
    if (!samples) throw damaged();
    const size_t row_bytes = size_t{4} * static_cast<size_t>(width);
    std::vector<uint8_t> levels(row_bytes * static_cast<size_t>(height));
    const uint32_t white =
        white_of(samples.get(), static_cast<size_t>(width), static_cast<size_t>(height));
    if (white == 0xFFFF && !is_grey) return std::nullopt;
    for (size_t i = 0; i < levels.size(); ++i) {
        const uint32_t sample = samples.get()[i];
        const bool is_alpha = i % 4 == 3;
        levels[i] = static_cast<uint8_t>(
            is_alpha ? sample >> 8 : (std::min(sample, white) * 255 + white / 2) / white);
    }
    return to_rgb({levels.data(), width, height, PixelFormat::rgba, row_bytes});
}

RgbImage decode_any(const uint8_t* data, int n_bytes) {
    const bool is_opaque = is_opaque_bmp(data, static_cast<size_t>(n_bytes));
    const PixelFormat format = is_opaque ? PixelFormat::rgb : PixelFormat::rgba;
    const size_t n_values = bytes_per_pixel(format);
    int width = 0, height = 0, n_channels = 0;
    const Decoded<uint8_t> values(stbi_load_from_memory(data, n_bytes, &width, &height, &n_channels,
                                                        static_cast<int>(n_values)),
                                  std::free);
    if (!values) throw damaged();
    return to_rgb({values.get(), width, height, format, n_values * static_cast<size_t>(width)});
}

}  // namespace

RgbImage decode_image(const uint8_t* data, size_t n_bytes) {
    constexpr size_t kMostBytes = std::numeric_limits<int>::max();
    if (n_bytes == 0 || n_bytes > kMostBytes) {
        throw unusable("an image of 1 to " + std::to_string(kMostBytes) + " bytes",
                       std::to_string(n_bytes), "was it saved completely?");
    }
    if (is_pnm(data, n_bytes)) return decode_pnm(data, n_bytes);
    const int n = static_cast<int>(n_bytes);
    int width = 0, height = 0, n_channels = 0;
    allocation_limit = limit_for(0, 0, n_bytes);  // to look at the header
    if (stbi_info_from_memory(data, n, &width, &height, &n_channels) == 0) {
        const bool is_pdf =
            n_bytes >= 4 && std::string_view(reinterpret_cast<const char*>(data), 4) == "%PDF";
        throw unusable(
            "a JPEG, PNG, GIF, BMP or PNM image",
            is_pdf ? "a PDF"
                   : std::to_string(n_bytes) + " bytes of another kind or with a damaged header",
            is_pdf ? "render its pages to images first" : "save it as PNG or JPEG");
    }
    check_size(width, height);
    if (breaks_off(data, n_bytes, width, height)) {
        throw damaged_image("it breaks off");
    }
    allocation_limit = limit_for(width, height, n_bytes);
    const bool is_wide = data[0] == 0x89 && stbi_is_16_bit_from_memory(data, n) != 0;
    std::optional<RgbImage> image = is_wide ? decode_wide(data, n, n_channels == 1) : std::nullopt;
    if (!image) image = decode_any(data, n);
    if (bytes_of(data, n_bytes).begins("GIF8"))
        fill_beside(*first_gif_frame(data, n_bytes), *image);
    *image = squared(std::move(*image), pixel_density(data, n_bytes));
    *image = turn_upright(std::move(*image), Exif(data, n_bytes).orientation());
    const Bytes file = bytes_of(data, n_bytes);
    image->is_damaged = file.begins("\x89PNG") ? png_is_damaged(file)
                        : file.begins("GIF8")  ? damaged_gif_frame(data, n_bytes, 1).has_value()
                                               : jpeg_is_damaged(data, n_bytes);
    return std::move(*image);
}

}  // namespace crispvl
