// The segments of a JPEG file (ITU-T T.81, B.1.1).
#pragma once

#include <optional>

#include "image/bytes.h"

namespace crispvl {

struct JpegSegment {
    static constexpr uint32_t kEnd = 0xD9, kScan = 0xDA, kApp1 = 0xE1;  // markers

    uint32_t marker;
    std::string_view body;
    size_t end;  // where the next one may begin
};

// The first segment from `at` on, without bare markers except the file's end. Fill
// bytes and what else is between segments, such as a scan's data, is passed over, as libjpeg
// does it. Nothing where the file ends before the segment.
std::optional<JpegSegment> next_jpeg_segment(const Bytes& file, size_t at);

}  // namespace crispvl
