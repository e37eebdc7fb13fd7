// The panel that every 8-bit product is made of: 16 outputs side by side. Only for files compiled
// with AVX-512 VNNI.
//
// Four inputs of 16 outputs make one vector of bytes (a quad). A scale serves 32 inputs (8 quads)
// or 16 (4 quads) of an output. Weights are stored as unsigned bytes, too large by an offset; sums
// over a block of x start at minus the offset times the sum of x. Minima serve 32 inputs.
#pragma once

#include <immintrin.h>

#include "kernels/int8_kernels.h"

namespace crispvl::kernels {

static constexpr int kPanelOutputs = static_cast<int>(kInt8PanelOutputs);
static constexpr int kBlockQuads = 8;  // quads of 32 inputs

struct PanelView {
    const uint8_t* quads;  // [n_in / 4][16 outputs][4]
    const float* scales;   // [number of scales][16]
    const float* minima;   // [n_in / 32][16] or null
};

// How a weight type lies in a panel.
template <int kQuadsOfScale, int kWeightOffset, bool kHasMinima>
struct PanelTraits {
    static constexpr int kQuads = kQuadsOfScale;   // that share a scale: 8 or 4
    static constexpr int kOffset = kWeightOffset;  // 128 or less, a power of two, or 0
    static constexpr bool kMinima = kHasMinima;
};

// Where the sum over a scale's inputs starts, in all lanes: over the block, or its half `i_half`.
template <typename Traits>
static inline __m512i start_of(const QuantisedBlock& x, int i_half) {
    if (Traits::kOffset == 0) return _mm512_setzero_si512();
    const int32_t for_128 = Traits::kQuads == kBlockQuads ? x.start : x.half_starts[i_half];
    const __m512i start = _mm512_set1_epi32(for_128);
    constexpr int kShift = Traits::kOffset == 128  ? 0
                           : Traits::kOffset == 32 ? 2
                           : Traits::kOffset == 16 ? 3
                                                   : 4;
    return kShift == 0 ? start : _mm512_srai_epi32(start, kShift);
}

// totals[p][r] += the first `n_blocks` blocks of row r of x times those of panel p.
template <typename Traits, int kPanels, int kRows>
static inline void multiply(const PanelView* panels, int64_t n_blocks,
                            const QuantisedBlock* const* x, __m512 (&totals)[kPanels][kRows]) {
    constexpr int kScales = kBlockQuads / Traits::kQuads;  // a block's
    for (int64_t i = 0; i < n_blocks; ++i) {
#pragma GCC unroll 2
        for (int part = 0; part < kScales; ++part) {
            const int64_t i_scale = i * kScales + part, i_quad = i_scale * Traits::kQuads;
            __m512i sums[kPanels][kRows];
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
                for (int p = 0; p < kPanels; ++p) sums[p][r] = start_of<Traits>(x[r][i], part);
            }
#pragma GCC unroll 8
            for (int q = 0; q < Traits::kQuads; ++q) {
                __m512i w[kPanels];
#pragma GCC unroll 2
                for (int p = 0; p < kPanels; ++p) {
                    w[p] = _mm512_loadu_si512(panels[p].quads + (i_quad + q) * 64);
                }
#pragma GCC unroll 12
                for (int r = 0; r < kRows; ++r) {
                    const int8_t* quad = x[r][i].values + (part * Traits::kQuads + q) * 4;
                    const __m512i of_x = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(quad));
#pragma GCC unroll 2
                    for (int p = 0; p < kPanels; ++p) {
                        sums[p][r] = _mm512_dpbusd_epi32(sums[p][r], w[p], of_x);
                    }
                }
            }
#pragma GCC unroll 2
            for (int p = 0; p < kPanels; ++p) {
                const __m512 scale = _mm512_loadu_ps(panels[p].scales + i_scale * kPanelOutputs);
#pragma GCC unroll 12
                for (int r = 0; r < kRows; ++r) {
                    totals[p][r] =
                        _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[p][r]), scale),
                                        _mm512_set1_ps(x[r][i].scale), totals[p][r]);
                }
            }
        }
        if (!Traits::kMinima) continue;
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) {
            const __m512 minimum = _mm512_loadu_ps(panels[p].minima + i * kPanelOutputs);
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
                totals[p][r] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(x[r][i].sum), totals[p][r]);
            }
        }
    }
}

}  // namespace crispvl::kernels
