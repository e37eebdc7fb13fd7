// The chunks of a PNG file (PNG 1.2, 5.3).
#pragma once

#include "image/bytes.h"

namespace crispvl {

// The data of the first chunk of a kind; empty where there is none.
std::string_view png_chunk(const Bytes& file, std::string_view kind);

}  // namespace crispvl
