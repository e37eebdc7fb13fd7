// The register block that every BF16 product is made of. Only for files compiled with AVX-512 BF16.
#pragma once

#include <immintrin.h>

#include "kernels/avx512_epilogue.h"
#include "kernels/bf16_kernels.h"

namespace crispvl::kernels {

static constexpr int kRows = 6;     // rows of a register block
static constexpr int kVectors = 4;  // 16 outputs each

using Sums = __m512[kRows][kVectors];

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

// Calls block(Rows<n>{}, first_row) for whole register blocks of `n_rows` rows, then for the rest.
template <int kN>
struct Rows {
    static constexpr int value = kN;
};
template <typename Block>
static inline void for_row_blocks(int64_t n_rows, const Block& block) {
    int64_t row = 0;
    for (; row + kRows <= n_rows; row += kRows) block(Rows<kRows>{}, row);
    switch (n_rows - row) {
        case 5:
            block(Rows<5>{}, row);
            break;
        case 4:
            block(Rows<4>{}, row);
            break;
        case 3:
            block(Rows<3>{}, row);
            break;
        case 2:
            block(Rows<2>{}, row);
            break;
        case 1:
            block(Rows<1>{}, row);
            break;
        default:
            break;
    }
}

static inline void clear(Sums& sums) {
    for (int r = 0; r < kRows; ++r) {
        for (int v = 0; v < kVectors; ++v) sums[r][v] = _mm512_setzero_ps();
    }
}

}  // namespace crispvl::kernels
