// Damage within the codes of a facsimile that decoders make a picture of all the same.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispvl {

enum class FaxGroup { rows, group3, group4 };  // rows without marks between them; T.4; T.6

struct FaxForm {
    FaxGroup group;
    bool has_two_dimensions;  // group3: a bit behind each mark tells how its row is written
    bool is_aligned;          // rows begin at whole bytes
};

// Whether codes are what rows of pixels are encoded to: a decoder that had to guess made other
// rows. The encoding leaves no choice but of marks, of fill bits, and of rows in one dimension.
// What comes after the last row does not count.
//
// `pixels` is [height, width], and not 0 where a run is black.
bool fax_agrees(const uint8_t* data, size_t n_bytes, const uint8_t* pixels, int64_t width,
                int64_t height, const FaxForm& form);

}  // namespace crispvl
