// The register block that every BF16 product is made of.
#pragma once

#include "kernels/bf16/kernels.h"
#include "kernels/simd/simd.h"

namespace crispvl::kernels {

static constexpr int kRows = 6;     // rows of a register block
static constexpr int kVectors = 4;  // 16 outputs each

using Sums = Floats[kRows][kVectors];

static inline void clear(Sums& sums) {
    for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kVectors; ++v) sums[r][v] = splat(0.0f);
    }
}

}  // namespace crispvl::kernels
