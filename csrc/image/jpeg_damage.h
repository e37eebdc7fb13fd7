// Damage within a JPEG's data that decoders make a picture of all the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispvl {

// Whether the codes of a JPEG's scans (ITU-T T.81, annexes F and G) are not those of a whole
// picture: an unassigned code, a coefficient beyond a block's last, a marker too early, data
// left over. Files of other kinds, with arithmetic coding or without a loss are not looked into.
bool jpeg_is_damaged(const uint8_t* data, size_t n_bytes);

}  // namespace crispvl
