// What the EXIF block of a JPEG or PNG file says about its pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace crispvl {

struct PixelDensity {
    double x, y;  // px per unit of length, whatever the unit is
};

class Exif {
public:
    // Looks for the block; where there is none, nothing is said.
    Exif(const uint8_t* data, size_t n_bytes);

    bool is_there() const { return !tiff_.empty(); }

    // Tag 0x0112 of the first image directory (CIPA DC-008): 1 to 8. What is absent, damaged or of
    // another kind counts as 1, upright.
    int orientation() const;

    // Tags 0x011A and 0x011B, where both are there.
    std::optional<PixelDensity> density() const;

private:
    std::string_view tiff_;  // both kinds of file carry a TIFF's directories
};

}  // namespace crispvl
