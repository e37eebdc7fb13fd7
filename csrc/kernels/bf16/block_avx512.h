// Only for files compiled with AVX-512 BF16.
#pragma once

#include "kernels/bf16/sums.h"

namespace crispvl::kernels {

static inline __m512bh load_pairs(const uint16_t* p) {
    return reinterpret_cast<__m512bh>(_mm512_loadu_si512(p));
}

static inline __m512bh broadcast_pair(const uint16_t* p) {
    return reinterpret_cast<__m512bh>(_mm512_set1_epi32(*reinterpret_cast<const int32_t*>(p)));
}

// sums[r][v] += the pairs of row r times 16 outputs of the panel; rows are ldx elements apart.
template <int kN>
static inline void multiply(const uint16_t* x, int64_t ldx, const uint16_t* panel, int64_t n_pairs,
                            Sums& sums) {
    for (int64_t i = 0; i < n_pairs; ++i) {
        __m512bh w[kVectors];
#pragma GCC unroll 4
        for (int v = 0; v < kVectors; ++v) w[v] = load_pairs(panel + i * kPanelWidth * 2 + v * 32);
#pragma GCC unroll 6
        for (int r = 0; r < kN; ++r) {
            const __m512bh a = broadcast_pair(x + r * ldx + 2 * i);
#pragma GCC unroll 4
            for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], a, w[v]);
        }
    }
}

}  // namespace crispvl::kernels
