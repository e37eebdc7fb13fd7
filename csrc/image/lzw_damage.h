// Damage within LZW codes (GIF89a, annex F; TIFF 6.0, section 13), which have no checksum.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace crispvl {

struct LzwForm {
    int value_bits;         // of what is coded
    bool high_bits_first;   // within a byte
    bool is_widened_early;  // codes are a bit longer one code earlier
};

// How many values codes stand for; nothing where one of them means none. Damage mostly changes this
// number. Counting ends beyond `most`.
std::optional<int64_t> count_lzw_values(const uint8_t* data, size_t n_bytes, const LzwForm& form,
                                        int64_t most);

}  // namespace crispvl
