// A panel times several rows where sixteen sums take two registers, and pairs of products one more
// (AVX2 without VNNI): eight outputs first, then the other eight, so that the sums of eight rows
// stay in registers.
#pragma once

#include "kernels/int8/panel.h"

namespace crispvl::kernels {
namespace {

constexpr int kHalfOutputs = kPanelOutputs / 2;

// As start_of(). GCC would shift a single word, and take long to spread that.
template <typename Traits>
inline __m256i half_start(const QuantisedBlock& x, int i_half) {
    if (kStartsAtZero<Traits>) return _mm256_setzero_si256();
    const __m256i of_8_bits = at_once(_mm256_set1_epi32(start_of_8_bits<Traits>(x, i_half)));
    return _mm256_srai_epi32(of_8_bits, 8 - Traits::kBits);
}

// sums[r] = the products that share scale `part` of block `i`, with their start; `quads` are
// theirs.
template <typename Traits, int kRows>
inline __attribute__((always_inline)) void half_sum_scale(const uint8_t* quads,
                                                          const QuantisedBlock* const* x, int64_t i,
                                                          int part, __m256i (&sums)[kRows]) {
    constexpr int kMost = kQuadsAtOnce<Traits::kBits>;
    constexpr int kGroup = kMost < Traits::kQuads ? kMost : Traits::kQuads;
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] = half_start<Traits>(x[r][i], part);
#pragma GCC unroll 8
    for (int first = 0; first < Traits::kQuads; first += kGroup) {
        __m256i opened[kRows];
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) opened[r] = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int q = first; q < first + kGroup; ++q) {
            const auto* bytes = reinterpret_cast<const __m256i*>(quads + q * 64);
            const HalfWeights w = half_weights<Traits::kBits>(_mm256_loadu_si256(bytes));
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) {
                const int8_t* quad = x[r][i].values + (part * Traits::kQuads + q) * 4;
                const __m256i of_x = _mm256_set1_epi32(*reinterpret_cast<const int32_t*>(quad));
                opened[r] = at_once(half_dot<Traits::kBits>(opened[r], w, of_x));
                if (q + 1 == first + kGroup) sums[r] = half_closed(sums[r], opened[r]);
            }
        }
    }
}

// totals[r] += the first `n_blocks` blocks of row r of x times those of half a panel.
template <typename Traits, int kRows>
inline __attribute__((always_inline)) void multiply_half(const PanelView& half, int64_t n_blocks,
                                                         const QuantisedBlock* const* x,
                                                         __m256 (&totals)[kRows]) {
    constexpr int kScales = kBlockQuads / Traits::kQuads;  // a block's
    for (int64_t i = 0; i < n_blocks; ++i) {
#pragma GCC unroll 2
        for (int part = 0; part < kScales; ++part) {
            const int64_t i_scale = i * kScales + part;
            __m256i sums[kRows];
            half_sum_scale<Traits>(half.quads + i_scale * Traits::kQuads * 64, x, i, part, sums);
            const __m256 scale = _mm256_loadu_ps(half.scales + i_scale * kPanelOutputs);
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) {
                const __m256 scaled = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r]), scale);
                totals[r] = _mm256_fmadd_ps(scaled, _mm256_set1_ps(x[r][i].scale), totals[r]);
            }
        }
        if (!Traits::kMinima) continue;
        const __m256 minimum = _mm256_loadu_ps(half.minima + i * kPanelOutputs);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
            totals[r] = _mm256_fmadd_ps(minimum, _mm256_set1_ps(x[r][i].sum), totals[r]);
        }
    }
}

// As multiply().
template <typename Traits, int kPanels, int kRows>
inline void multiply_by_halves(const PanelView* panels, int64_t n_blocks,
                               const QuantisedBlock* const* x, Floats (&totals)[kPanels][kRows]) {
    const auto times = [&](const PanelView& half, Floats(&of_panel)[kRows], __m256 Floats::* part) {
        __m256 of_half[kRows];
        for (int r = 0; r < kRows; ++r) of_half[r] = of_panel[r].*part;
        multiply_half<Traits>(half, n_blocks, x, of_half);
        for (int r = 0; r < kRows; ++r) of_panel[r].*part = of_half[r];
    };
    for (int p = 0; p < kPanels; ++p) {
        const PanelView& panel = panels[p];
        times(panel, totals[p], &Floats::low);
        times({panel.quads + 4 * kHalfOutputs, panel.scales + kHalfOutputs,
               Traits::kMinima ? panel.minima + kHalfOutputs : nullptr},
              totals[p], &Floats::high);
    }
}

}  // namespace
}  // namespace crispvl::kernels
