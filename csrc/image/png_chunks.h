// The chunks of a PNG file (PNG 1.2, 5.3).
#pragma once

#include <optional>

#include "image/bytes.h"

namespace crispvl {

// The data of the first chunk of a kind; empty where there is none.
std::string_view png_chunk(const Bytes& file, std::string_view kind);

// Whether the checksum of a chunk that a PNG's pixels need is wrong; stb_image looks at none.
bool png_is_damaged(const Bytes& file);

}  // namespace crispvl
