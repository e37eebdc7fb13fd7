// Products of BF16 numbers as floats, for instruction sets without such products: rows of x are
// widened a part at a time, pairs of weights in registers.
#pragma once

#include "kernels/bf16/sums.h"

namespace crispvl::kernels {

static constexpr int64_t kPartPairs = 256;  // of a row, widened at a time: 12 KiB for six rows

using WideRows = float[kRows][2 * kPartPairs];

// What the including file defines for its instruction set: n BF16 numbers as floats, n even; rows
// times 16 outputs, whose pairs of weights start at `panel`.
static inline void widen(const uint16_t* x, int64_t n, float* y);
template <int kN>
static inline void multiply_16(const WideRows& x, const uint16_t* panel, int64_t n_pairs,
                               Sums& sums, int i_vector);

// sums[r][v] += the pairs of row r times 16 outputs of the panel; rows are ldx elements apart.
template <int kN>
static inline void multiply(const uint16_t* x, int64_t ldx, const uint16_t* panel, int64_t n_pairs,
                            Sums& sums) {
    alignas(64) WideRows wide;
    for (int64_t first = 0; first < n_pairs; first += kPartPairs) {
        const int64_t n = n_pairs - first < kPartPairs ? n_pairs - first : kPartPairs;
        for (int r = 0; r < kN; ++r) widen(x + r * ldx + 2 * first, 2 * n, wide[r]);
        const uint16_t* part = panel + first * kPanelWidth * 2;
        for (int v = 0; v < kVectors; ++v) multiply_16<kN>(wide, part + v * 32, n, sums, v);
    }
}

}  // namespace crispvl::kernels
