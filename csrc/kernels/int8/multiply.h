// A panel times a few rows of x, whose sums stay in registers.
#pragma once

#include "kernels/int8/panel.h"
#if defined(CRISPVL_BYTE_PAIRS)
#include "kernels/int8/multiply_halves.h"
#elif defined(__ARM_FEATURE_MATMUL_INT8)
#include "kernels/int8/row_pairs.h"
#endif

namespace crispvl::kernels {
namespace {

#if defined(CRISPVL_BYTE_PAIRS)
constexpr int kFewRows = 4;  // as fast with sixteen outputs at once
constexpr int kRows = 8;     // of x in a register block
constexpr int kPanelsAtOnce = 1;
#else
constexpr int kRows = 6;
constexpr int kPanelsAtOnce = kSumsAtOnce / kRows;
#endif

// sums[p][r] += quad `i_quad` of a panel times quad `i_of_x` of block `i` of x. Each sum is done
// with before the next, which leaves registers for all of them.
template <int kBits, int kPanels, int kRows>
inline void add_quad(const PanelView* panels, int64_t i_quad, const QuantisedBlock* const* x,
                     int64_t i, int i_of_x, Bits (&sums)[kPanels][kRows]) {
    Weights w[kPanels];
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p)
        w[p] = weights<kBits>(load_bits(panels[p].quads + i_quad * 64));
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
        const int8_t* quad = x[r][i].values + i_of_x * 4;
        const Bits of_x = splat_word(*reinterpret_cast<const int32_t*>(quad));
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) {
            const Bits opened = open_sums(sums[p][r]);
            sums[p][r] = close_sums(sums[p][r], dot<kBits>(opened, w[p], of_x));
        }
    }
}

// sums[p][r] += kGroup quads, from `i_quad` of a panel on, times those of block `i` of x from
// `i_of_x` on.
template <int kBits, int kGroup, int kPanels, int kRows>
inline void add_group(const PanelView* panels, int64_t i_quad, const QuantisedBlock* const* x,
                      int64_t i, int i_of_x, Bits (&sums)[kPanels][kRows]) {
    Bits parts[kPanels][kRows];
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) parts[p][r] = open_sums(sums[p][r]);
    }
#pragma GCC unroll 8
    for (int q = 0; q < kGroup; ++q) {
        Weights w[kPanels];
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) {
            w[p] = weights<kBits>(load_bits(panels[p].quads + (i_quad + q) * 64));
        }
#pragma GCC unroll 12
        for (int r = 0; r < kRows; ++r) {
            const int8_t* quad = x[r][i].values + (i_of_x + q) * 4;
            const Bits of_x = splat_word(*reinterpret_cast<const int32_t*>(quad));
#pragma GCC unroll 2
            for (int p = 0; p < kPanels; ++p) {
                parts[p][r] = dot<kBits>(parts[p][r], w[p], of_x);
            }
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) sums[p][r] = close_sums(sums[p][r], parts[p][r]);
    }
}

// sums[p][r] = the products that share scale `part` of block `i`, with their start.
template <typename Traits, int kPanels, int kRows>
inline __attribute__((always_inline)) void sum_scale(const PanelView* panels,
                                                     const QuantisedBlock* const* x, int64_t i,
                                                     int part, Bits (&sums)[kPanels][kRows]) {
    constexpr int kMost = kQuadsAtOnce<Traits::kBits>;
    constexpr int kGroup = kMost < Traits::kQuads ? kMost : Traits::kQuads;
    const int64_t i_quad = (i * (kBlockQuads / Traits::kQuads) + part) * Traits::kQuads;
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 2
        for (int p = 0; p < kPanels; ++p) sums[p][r] = start_of<Traits>(x[r][i], part);
    }
#pragma GCC unroll 8
    for (int q = 0; q < Traits::kQuads; q += kGroup) {
        const int i_of_x = part * Traits::kQuads + q;
        if constexpr (kGroup == 1) {
            add_quad<Traits::kBits>(panels, i_quad + q, x, i, i_of_x, sums);
        } else {
            add_group<Traits::kBits, kGroup>(panels, i_quad + q, x, i, i_of_x, sums);
        }
    }
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
// The same, two rows at once, and a last one by itself.
template <typename Traits, int kPanels, int kRows>
inline __attribute__((always_inline)) void sum_scale_by_pairs(const PanelView* panels,
                                                              const QuantisedBlock* const* x,
                                                              int64_t i, int part,
                                                              Bits (&sums)[kPanels][kRows]) {
    const int64_t i_quad = (i * (kBlockQuads / Traits::kQuads) + part) * Traits::kQuads;
    for (int p = 0; p < kPanels; ++p) {
        SumsOfRowPair of_pairs[(kRows + 1) / 2] = {};  // one row has none, but C++ no empty array
#pragma GCC unroll 4
        for (int q = 0; q < Traits::kQuads; q += 2) {
            const int first = (part * Traits::kQuads + q) * 4;
#pragma GCC unroll 4
            for (int pair = 0; pair < kRows / 2; ++pair) {
                const int8x16_t of_x = eight_of_two(x[2 * pair][i], x[2 * pair + 1][i], first);
                add_two_quads(panels[p].quads + (i_quad + q) * 64, of_x, of_pairs[pair]);
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < kRows / 2 * 2; ++r) {
            sums[p][r] =
                add_words(start_of<Traits>(x[r][i], part), row_of_pair(of_pairs[r / 2], r % 2));
        }
    }
    if constexpr (kRows % 2 == 1) {
        Bits last[kPanels][1];
        sum_scale<Traits>(panels, x + kRows - 1, i, part, last);
        for (int p = 0; p < kPanels; ++p) sums[p][kRows - 1] = last[p][0];
    }
}
#endif

// totals[p][r] += the first `n_blocks` blocks of row r of x times those of panel p.
template <typename Traits, int kPanels, int kRows>
inline void multiply(const PanelView* panels, int64_t n_blocks, const QuantisedBlock* const* x,
                     Floats (&totals)[kPanels][kRows]) {
#if defined(CRISPVL_BYTE_PAIRS)
    if constexpr (kRows > kFewRows) {
        return multiply_by_halves<Traits>(panels, n_blocks, x, totals);
    }
#endif
    constexpr int kScales = kBlockQuads / Traits::kQuads;  // a block's
    for (int64_t i = 0; i < n_blocks; ++i) {
#pragma GCC unroll 2
        for (int part = 0; part < kScales; ++part) {
            const int64_t i_scale = i * kScales + part;
            Bits sums[kPanels][kRows];
#if defined(__ARM_FEATURE_MATMUL_INT8)
            sum_scale_by_pairs<Traits>(panels, x, i, part, sums);
#else
            sum_scale<Traits>(panels, x, i, part, sums);
#endif
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

}  // namespace
}  // namespace crispvl::kernels
