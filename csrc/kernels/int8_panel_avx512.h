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

// A rounded row of x (int8_kernels.h).
struct QuantisedRow {
    int8_t* values;
    float* scales;
    int32_t* starts;
    float* sums;
    int32_t* half_starts;

    QuantisedRow() = default;
    QuantisedRow(const void* rows, int64_t n_in, int64_t i_row)
        : values(static_cast<int8_t*>(const_cast<void*>(rows)) + i_row * quantised_row_bytes(n_in)),
          scales(reinterpret_cast<float*>(values + n_in)),
          starts(reinterpret_cast<int32_t*>(scales + n_in / kQuantBlock)),
          sums(reinterpret_cast<float*>(starts + n_in / kQuantBlock)),
          half_starts(reinterpret_cast<int32_t*>(sums + n_in / kQuantBlock)) {}

    // The row from block `i` of 32 inputs on.
    QuantisedRow from(int64_t i) const {
        QuantisedRow row = *this;
        row.values += i * kQuantBlock;
        row.scales += i;
        row.starts += i;
        row.sums += i;
        row.half_starts += 2 * i;
        return row;
    }
};

// How a weight type lies in a panel.
template <int kQuadsOfScale, int kWeightOffset, bool kHasMinima>
struct PanelTraits {
    static constexpr int kQuads = kQuadsOfScale;   // that share a scale: 8 or 4
    static constexpr int kOffset = kWeightOffset;  // 128 or less, a power of two, or 0
    static constexpr bool kMinima = kHasMinima;
};

// Where the sum over scale `i_scale` starts, in all lanes.
template <typename Traits>
static inline __m512i start_of(const QuantisedRow& x, int64_t i_scale) {
    if (Traits::kOffset == 0) return _mm512_setzero_si512();
    const int32_t* starts = Traits::kQuads == kBlockQuads ? x.starts : x.half_starts;
    const __m512i start = _mm512_set1_epi32(starts[i_scale]);  // for an offset of 128
    constexpr int kShift = Traits::kOffset == 128  ? 0
                           : Traits::kOffset == 32 ? 2
                           : Traits::kOffset == 16 ? 3
                                                   : 4;
    return kShift == 0 ? start : _mm512_srai_epi32(start, kShift);
}

// totals[r] += row r of x times the panel's next `n_blocks` blocks of 32 inputs.
template <int kRows, typename Traits>
static inline void multiply(const PanelView& panel, int64_t n_blocks, const QuantisedRow* x,
                            __m512* totals) {
    constexpr int kScales = kBlockQuads / Traits::kQuads;  // a block's
    for (int64_t i = 0; i < n_blocks; ++i) {
#pragma GCC unroll 2
        for (int part = 0; part < kScales; ++part) {
            const int64_t i_scale = i * kScales + part, i_quad = i_scale * Traits::kQuads;
            __m512i sums[kRows];
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) sums[r] = start_of<Traits>(x[r], i_scale);
#pragma GCC unroll 8
            for (int q = 0; q < Traits::kQuads; ++q) {
                const __m512i w = _mm512_loadu_si512(panel.quads + (i_quad + q) * 64);
#pragma GCC unroll 12
                for (int r = 0; r < kRows; ++r) {
                    const int8_t* quad = x[r].values + (i_quad + q) * 4;
                    const __m512i of_x = _mm512_set1_epi32(*reinterpret_cast<const int32_t*>(quad));
                    sums[r] = _mm512_dpbusd_epi32(sums[r], w, of_x);
                }
            }
            const __m512 scale = _mm512_loadu_ps(panel.scales + i_scale * kPanelOutputs);
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
                totals[r] = _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(sums[r]), scale),
                                            _mm512_set1_ps(x[r].scales[i]), totals[r]);
            }
        }
        if (Traits::kMinima) {
            const __m512 minimum = _mm512_loadu_ps(panel.minima + i * kPanelOutputs);
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
                totals[r] = _mm512_fmadd_ps(minimum, _mm512_set1_ps(x[r].sums[i]), totals[r]);
            }
        }
    }
}

}  // namespace crispvl::kernels
