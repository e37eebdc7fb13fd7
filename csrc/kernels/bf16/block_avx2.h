// Only for files compiled with AVX2 and FMA.
#pragma once

#include "kernels/bf16/wide_rows.h"

namespace crispvl::kernels {

static constexpr int64_t kPairsAhead = 8;

static inline void widen(const uint16_t* x, int64_t n, float* y) {
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
        const __m256i bits = _mm256_slli_epi32(_mm256_cvtepu16_epi32(halves), 16);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i), bits);
    }
    for (; i < n; ++i) {
        const uint32_t bits = static_cast<uint32_t>(x[i]) << 16;
        std::memcpy(y + i, &bits, sizeof bits);
    }
}

template <int kN>
static inline void multiply_16(const WideRows& x, const uint16_t* panel, int64_t n_pairs,
                               Sums& sums, int i_vector) {
    __m256 low[kN], high[kN];
#pragma GCC unroll 6
    for (int r = 0; r < kN; ++r) {
        low[r] = sums[r][i_vector].low;
        high[r] = sums[r][i_vector].high;
    }
    const __m256i odd = _mm256_set1_epi32(static_cast<int>(0xffff0000));
    for (int64_t i = 0; i < n_pairs; ++i) {
        const __m256i* pairs = reinterpret_cast<const __m256i*>(panel + i * kPanelWidth * 2);
        // Its own lines of the panel are 256 bytes apart, which not every CPU sees coming.
        const uint16_t* soon = panel + (i + kPairsAhead) * kPanelWidth * 2;
        _mm_prefetch(reinterpret_cast<const char*>(soon), _MM_HINT_T0);
#pragma GCC unroll 2
        for (int side = 0; side < 2; ++side) {
            const __m256i a = _mm256_loadu_si256(pairs), b = _mm256_loadu_si256(pairs + 1);
            const __m256 w_low = _mm256_castsi256_ps(side == 0 ? _mm256_slli_epi32(a, 16)
                                                               : _mm256_and_si256(a, odd));
            const __m256 w_high = _mm256_castsi256_ps(side == 0 ? _mm256_slli_epi32(b, 16)
                                                                : _mm256_and_si256(b, odd));
#pragma GCC unroll 6
            for (int r = 0; r < kN; ++r) {
                const __m256 of_x = _mm256_broadcast_ss(&x[r][2 * i + side]);
                low[r] = _mm256_fmadd_ps(of_x, w_low, low[r]);
                high[r] = _mm256_fmadd_ps(of_x, w_high, high[r]);
            }
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < kN; ++r) sums[r][i_vector] = {low[r], high[r]};
}

}  // namespace crispvl::kernels
