#include "image/exif.h"

#include "image/bytes.h"
#include "image/jpeg_segments.h"
#include "image/png_chunks.h"

namespace crispvl {
namespace {

constexpr uint32_t kShort = 3, kRational = 5;  // types of values
constexpr uint32_t kOrientation = 0x0112, kXDensity = 0x011A, kYDensity = 0x011B;

struct Entry {
    uint32_t type;
    size_t value_at;  // of the value, or of its offset
};

Bytes ordered(std::string_view tiff) {
    return Bytes{tiff, tiff.substr(0, 2) == "II"};
}

std::optional<Entry> find_entry(const Bytes& bytes, uint32_t tag) {
    if (bytes.integer(2, 2) != 42) return std::nullopt;
    const size_t directory = bytes.integer(4, 4);
    const uint32_t n_entries = bytes.integer(directory, 2);
    for (uint32_t i = 0; i < n_entries; ++i) {
        const size_t entry = directory + 2 + size_t{12} * i;
        if (!bytes.has(entry, 12)) break;
        if (bytes.integer(entry, 2) == tag) return Entry{bytes.integer(entry + 2, 2), entry + 8};
    }
    return std::nullopt;
}

std::optional<double> find_rational(const Bytes& bytes, uint32_t tag) {
    const std::optional<Entry> entry = find_entry(bytes, tag);
    if (!entry || entry->type != kRational) return std::nullopt;
    const size_t at = bytes.integer(entry->value_at, 4);
    const uint32_t below = bytes.integer(at + 4, 4);
    if (below == 0) return std::nullopt;
    return static_cast<double>(bytes.integer(at, 4)) / below;
}

std::string_view block_in_jpeg(const Bytes& file) {
    constexpr std::string_view header("Exif\0\0", 6);
    std::optional<JpegSegment> segment = next_jpeg_segment(file, 0);
    while (segment && segment->marker != JpegSegment::kScan) {
        if (segment->marker == JpegSegment::kApp1 &&
            segment->body.substr(0, header.size()) == header) {
            return segment->body.substr(header.size());
        }
        segment = next_jpeg_segment(file, segment->end);
    }
    return {};
}

}  // namespace

Exif::Exif(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes);
    if (file.begins("\xFF\xD8")) tiff_ = block_in_jpeg(file);
    if (file.begins("\x89PNG")) tiff_ = png_chunk(file, "eXIf");
}

int Exif::orientation() const {
    const Bytes bytes = ordered(tiff_);
    const std::optional<Entry> entry = find_entry(bytes, kOrientation);
    if (!entry || entry->type != kShort) return 1;
    const uint32_t value = bytes.integer(entry->value_at, 2);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
}

std::optional<PixelDensity> Exif::density() const {
    const Bytes bytes = ordered(tiff_);
    const std::optional<double> x = find_rational(bytes, kXDensity);
    const std::optional<double> y = find_rational(bytes, kYDensity);
    if (!x || !y) return std::nullopt;
    return PixelDensity{*x, *y};
}

}  // namespace crispvl
