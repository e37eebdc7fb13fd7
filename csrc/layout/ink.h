// Paper and ink: which pixels of the working image are print.
#pragma once

#include "layout/grey.h"

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

// The grey of paper and the least contrast of ink, for each square of k_tile_px px.
struct Paper {
    static constexpr int k_tile_px = 16;

    int columns = 0, rows = 0;
    std::vector<uint8_t> level;           // [rows, columns]
    std::vector<uint8_t> dark_contrast;   // darker than the paper by more than this is ink
    std::vector<uint8_t> light_contrast;  // lighter by more than this is light ink

    size_t index(int x_px, int y_px) const {
        return static_cast<size_t>(y_px / k_tile_px) * static_cast<size_t>(columns) +
               static_cast<size_t>(x_px / k_tile_px);
    }
};

// The paper's grey is the most frequent one of a wide neighbourhood, so that uneven light and
// large inverse areas are followed; the contrast asked for follows the ink nearby.
Paper find_paper(const GreyImage& image);

struct Ink {
    Bitmap dark;
    Bitmap light;  // empty where no part of the paper is dark
};

Ink find_ink(const GreyImage& image, const Paper& paper);

// The ink with gaps of up to 2 px filled (a morphological closing by 3 × 3 px), which makes letters
// of dot-matrix print and of worn-out thermal heads whole.
Bitmap closed(const Bitmap& ink);

}  // namespace crispvl::layout
