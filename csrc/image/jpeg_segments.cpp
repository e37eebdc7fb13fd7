#include "image/jpeg_segments.h"

namespace crispvl {
namespace {

// A zero after 0xFF is data; restarts within a scan, the file's begin and 0x01 have no body.
bool stands_alone(uint32_t marker) {
    return marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8);
}

}  // namespace

std::optional<JpegSegment> next_jpeg_segment(const Bytes& file, size_t at) {
    while (true) {
        at = file.view.find('\xFF', at);
        at = file.view.find_first_not_of('\xFF', at);
        if (at == std::string_view::npos) return std::nullopt;
        const uint32_t marker = file.integer(at++, 1);
        if (stands_alone(marker)) continue;
        if (marker == JpegSegment::kEnd) return JpegSegment{marker, {}, at};
        const size_t n = file.integer(at, 2);  // counts itself
        if (n < 2 || !file.has(at, n)) return std::nullopt;
        return JpegSegment{marker, file.view.substr(at + 2, n - 2), at + n};
    }
}

}  // namespace crispvl
