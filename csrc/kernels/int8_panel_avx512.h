// The panel that every 8-bit product is made of: 16 outputs side by side. Only for files compiled
// with AVX-512 VNNI.
//
// Four inputs of 16 outputs make one vector of bytes (a quad). A scale serves 32 inputs (8 quads)
// or 16 (4 quads) of an output. Bytes of x are 128 too large, so the sums start at -128 times the
// weights' sum. Minima, which some types have, serve 32 inputs.
#pragma once

#include <immintrin.h>

#include "kernels/int8_kernels.h"

namespace crispvl::kernels {

static constexpr int kPanelOutputs = 16;
static constexpr int kBlockQuads = 8;  // quads of 32 inputs

struct PanelView {
    const int8_t* quads;    // [n_in / 4][16 outputs][4]
    const int32_t* starts;  // [number of scales][16]
    const float* scales;    // the same
    const float* minima;    // [n_in / 32][16] or null
};

// A rounded row of x, from some block of 32 inputs on.
struct QuantisedRow {
    const uint8_t* values;
    const float* scales;
    const float* sums;
};
static inline QuantisedRow quantised_row(const void* x, int64_t n_in, int64_t i_row,
                                         int64_t i_block) {
    const uint8_t* values = static_cast<const uint8_t*>(x) + i_row * quantised_row_bytes(n_in);
    const float* scales = reinterpret_cast<const float*>(values + n_in) + i_block;
    return {values + i_block * kQuantBlock, scales, scales + n_in / kQuantBlock};
}

static inline __m512i load_bytes(const void* p) {
    return _mm512_loadu_si512(p);
}
static inline __m512i broadcast_quad(const uint8_t* p) {
    return _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(p));
}

// totals[r] += row r of x times the panel's next `n_blocks` blocks of 32 inputs.
template <int kRows, int kQuads, bool kMinima>
static inline void multiply(const PanelView& panel, int64_t n_blocks, const QuantisedRow* x,
                            __m512* totals) {
    constexpr int kScales = kBlockQuads / kQuads;  // a block's
    for (int64_t i = 0; i < n_blocks; ++i) {
#pragma GCC unroll 2
        for (int part = 0; part < kScales; ++part) {
            const int64_t i_scale = i * kScales + part, i_quad = i_scale * kQuads;
            const __m512i start = load_bytes(panel.starts + i_scale * kPanelOutputs);
            __m512i sums[kRows];
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) sums[r] = start;
#pragma GCC unroll 8
            for (int q = 0; q < kQuads; ++q) {
                const __m512i w = load_bytes(panel.quads + (i_quad + q) * 64);
#pragma GCC unroll 12
                for (int r = 0; r < kRows; ++r) {
                    sums[r] = _mm512_dpbusd_epi32(
                        sums[r], broadcast_quad(x[r].values + (i_quad + q) * 4), w);
                }
            }
            const __m512 scale = _mm512_loadu_ps(panel.scales + i_scale * kPanelOutputs);
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
                totals[r] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[r]), scale),
                                            _mm512_set1_ps(x[r].scales[i]), totals[r]);
            }
        }
        if (kMinima) {
            const __m512 minimum = _mm512_loadu_ps(panel.minima + i * kPanelOutputs);
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
                totals[r] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(x[r].sums[i]), totals[r]);
            }
        }
    }
}

}  // namespace crispvl::kernels
