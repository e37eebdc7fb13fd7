// A picture of ones and zeros.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace crispvl::layout {

struct Bitmap {
    int width = 0, height = 0;  // px; 0 where there is nothing to find
    std::vector<uint8_t> bits;  // [height, width], 1 is ink

    Bitmap() = default;
    Bitmap(int width_px, int height_px)
        : width(width_px),
          height(height_px),
          bits(static_cast<size_t>(width_px) * static_cast<size_t>(height_px)) {}
    uint8_t* row(int y) {
        return bits.data() + static_cast<size_t>(y) * static_cast<size_t>(width);
    }
    const uint8_t* row(int y) const {
        return bits.data() + static_cast<size_t>(y) * static_cast<size_t>(width);
    }
    bool empty() const { return bits.empty(); }
};

}  // namespace crispvl::layout
