// The paper that print is on: its grey, and how far ink differs from it.
#pragma once

#include "layout/grey.h"

namespace crispvl::layout {

// The grey of paper and the least contrast of ink, for each square of kTilePx px.
struct Paper {
    static constexpr int kTilePx = 16;

    int columns = 0, rows = 0;
    int least_contrast = 0;               // what no noise of the paper has
    std::vector<uint8_t> level;           // [rows, columns]
    std::vector<uint8_t> dark_contrast;   // darker than the paper by more than this is ink
    std::vector<uint8_t> light_contrast;  // lighter by more than this is light ink

    size_t index(int x_px, int y_px) const {
        return static_cast<size_t>(y_px / kTilePx) * static_cast<size_t>(columns) +
               static_cast<size_t>(x_px / kTilePx);
    }
};

// The paper's grey is the most frequent one of a wide neighbourhood, so that uneven light and
// large inverse areas are followed; the contrast asked for follows the ink nearby.
Paper find_paper(const GreyImage& image);

}  // namespace crispvl::layout
