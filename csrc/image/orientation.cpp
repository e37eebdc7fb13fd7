#include "image/orientation.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "image/bytes.h"
#include "image/jpeg_segments.h"

namespace crispvl {
namespace {

// The orientation in a TIFF block, which both kinds of file carry.
int tiff_orientation(std::string_view tiff) {
    Bytes bytes{tiff, tiff.substr(0, 2) == "II"};
    if (bytes.integer(2, 2) != 42) return 1;
    const size_t directory = bytes.integer(4, 4);
    const uint32_t n_entries = bytes.integer(directory, 2);
    for (uint32_t i = 0; i < n_entries; ++i) {
        const size_t entry = directory + 2 + size_t{12} * i;
        if (!bytes.has(entry, 12)) break;
        constexpr uint32_t tag_orientation = 0x0112, type_short = 3;
        if (bytes.integer(entry, 2) != tag_orientation) continue;
        if (bytes.integer(entry + 2, 2) != type_short) return 1;
        const uint32_t value = bytes.integer(entry + 8, 2);
        return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
    }
    return 1;
}

int jpeg_orientation(const Bytes& file) {
    constexpr std::string_view header("Exif\0\0", 6);
    std::optional<JpegSegment> segment = next_jpeg_segment(file, 0);
    while (segment && segment->marker != JpegSegment::kScan) {
        if (segment->marker == JpegSegment::kApp1 &&
            segment->body.substr(0, header.size()) == header) {
            return tiff_orientation(segment->body.substr(header.size()));
        }
        segment = next_jpeg_segment(file, segment->end);
    }
    return 1;
}

int png_orientation(const Bytes& file) {
    for (size_t at = 8; file.has(at, 12);) {  // length, kind, data, checksum
        const size_t n = file.integer(at, 4);
        if (!file.has(at, 12) || !file.has(at + 8, n)) break;
        if (file.view.substr(at + 4, 4) == "eXIf")
            return tiff_orientation(file.view.substr(at + 8, n));
        at += 12 + n;
    }
    return 1;
}

}  // namespace

int exif_orientation(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes);
    if (file.begins("\xFF\xD8")) return jpeg_orientation(file);
    if (file.begins("\x89PNG")) return png_orientation(file);
    return 1;
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
