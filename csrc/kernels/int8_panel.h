// The panel that every 8-bit product is made of: 16 outputs side by side.
//
// Four inputs of 16 outputs make one vector of bytes (a quad). A scale serves 32 inputs (8 quads)
// or 16 (4 quads) of an output. Weights are stored as unsigned bytes, too large by an offset; sums
// over a block of x start at minus the offset times the sum of x. Minima serve 32 inputs.
#pragma once

#include "kernels/int8_kernels.h"
#include "kernels/simd.h"

namespace crispvl::kernels {
namespace {

constexpr int kPanelOutputs = static_cast<int>(kInt8PanelOutputs);
constexpr int kBlockQuads = 8;  // quads of 32 inputs

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
inline Bits start_of(const QuantisedBlock& x, int i_half) {
    if (Traits::kOffset == 0) return splat_word(0);
    if (Traits::kOffset == 128 && !kDotKeepsOffset) return splat_word(0);
    const int32_t for_128 = Traits::kQuads == kBlockQuads ? x.start : x.half_starts[i_half];
    const Bits start = splat_word(for_128);
    constexpr int kShift = Traits::kOffset == 128  ? 0
                           : Traits::kOffset == 32 ? 2
                           : Traits::kOffset == 16 ? 3
                                                   : 4;
    return kShift == 0 ? start : right_signed(start, kShift);
}

// totals[p][r] += the first `n_blocks` blocks of row r of x times those of panel p.
template <typename Traits, int kPanels, int kRows>
inline void multiply(const PanelView* panels, int64_t n_blocks, const QuantisedBlock* const* x,
                     Floats (&totals)[kPanels][kRows]) {
    constexpr int kScales = kBlockQuads / Traits::kQuads;  // a block's
    for (int64_t i = 0; i < n_blocks; ++i) {
#pragma GCC unroll 2
        for (int part = 0; part < kScales; ++part) {
            const int64_t i_scale = i * kScales + part, i_quad = i_scale * Traits::kQuads;
            Bits sums[kPanels][kRows];
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
                for (int p = 0; p < kPanels; ++p) sums[p][r] = start_of<Traits>(x[r][i], part);
            }
#pragma GCC unroll 8
            for (int q = 0; q < Traits::kQuads; ++q) {
                Weights w[kPanels];
#pragma GCC unroll 2
                for (int p = 0; p < kPanels; ++p) {
                    w[p] = weights<Traits::kOffset>(load_bits(panels[p].quads + (i_quad + q) * 64));
                }
#pragma GCC unroll 12
                for (int r = 0; r < kRows; ++r) {
                    const int8_t* quad = x[r][i].values + (part * Traits::kQuads + q) * 4;
                    const Bits of_x = splat_word(*reinterpret_cast<const int32_t*>(quad));
#pragma GCC unroll 2
                    for (int p = 0; p < kPanels; ++p) {
                        sums[p][r] = dot<Traits::kOffset>(sums[p][r], w[p], of_x);
                    }
                }
            }
#pragma GCC unroll 2
            for (int p = 0; p < kPanels; ++p) {
                const Floats scale = load(panels[p].scales + i_scale * kPanelOutputs);
#pragma GCC unroll 12
                for (int r = 0; r < kRows; ++r) {
                    totals[p][r] =
                        fma(mul(to_floats(sums[p][r]), scale), splat(x[r][i].scale), totals[p][r]);
                }
            }
        }
        if (!Traits::kMinima) continue;
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) {
            const Floats minimum = load(panels[p].minima + i * kPanelOutputs);
#pragma GCC unroll 12
            for (int r = 0; r < kRows; ++r) {
                totals[p][r] = fma(minimum, splat(x[r][i].sum), totals[p][r]);
            }
        }
    }
}

// Sums of the outputs from `first` on, of which n are left, with their bias; null: none.
inline Floats with_bias(const float* bias, int64_t first, int64_t n, Floats sums) {
    return bias != nullptr ? add(sums, load_first(n, bias + first)) : sums;
}

}  // namespace
}  // namespace crispvl::kernels
