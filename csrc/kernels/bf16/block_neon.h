// Only for files compiled for 64-bit ARM.
#pragma once

#include "kernels/bf16/wide_rows.h"

namespace crispvl::kernels {

static inline void widen(const uint16_t* x, int64_t n, float* y) {
    for (; n >= 16; n -= 16, x += 16, y += 16) store(y, load_bf16(x));
    store_first(n, y, widen_bf16(load_halves_first(n, x)));
}

// The numbers of one side, 0 or 1, of four pairs.
static inline float32x4_t side_of(uint32x4_t pairs, int side) {
    return vreinterpretq_f32_u32(side == 0 ? vshlq_n_u32(pairs, 16)
                                           : vandq_u32(pairs, vdupq_n_u32(0xffff0000)));
}

template <int kN>
static inline void multiply_16(const WideRows& x, const uint16_t* panel, int64_t n_pairs,
                               Sums& sums, int i_vector) {
    Floats totals[kN];
#pragma GCC unroll 6
    for (int r = 0; r < kN; ++r) totals[r] = sums[r][i_vector];
    for (int64_t i = 0; i < n_pairs; ++i) {
#pragma GCC unroll 2
        for (int side = 0; side < 2; ++side) {
            const Bits pairs = load_bits(panel + i * kPanelWidth * 2);
            const Floats w = each_quarter([&](int k) { return side_of(pairs.quarters[k], side); });
#pragma GCC unroll 6
            for (int r = 0; r < kN; ++r) totals[r] = fma(w, splat(x[r][2 * i + side]), totals[r]);
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < kN; ++r) sums[r][i_vector] = totals[r];
}

}  // namespace crispvl::kernels
