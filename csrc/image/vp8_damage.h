// Damage within a lossy WebP's data that decoders make a picture of all the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispvl {

// Whether the codes of a key frame of VP8 (RFC 6386) do not end where its partitions do, or hold a
// coefficient that no picture has. `data` is that of a WebP's chunk "VP8 ".
bool vp8_is_damaged(const uint8_t* data, size_t n_bytes);

}  // namespace crispvl
