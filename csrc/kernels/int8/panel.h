// The panel that every 8-bit product is made of: 16 outputs side by side.
//
// Four inputs of 16 outputs make one vector of bytes (a quad). A scale serves 32 inputs (8 quads)
// or 16 (4 quads) of an output. Weights are stored as unsigned bytes, too large by an offset; sums
// over a block of x start at minus the offset times the sum of x. Minima serve 32 inputs.
#pragma once

#include "kernels/int8/kernels.h"
#include "kernels/simd/simd.h"

namespace crispvl::kernels {
namespace {

constexpr int kPanelOutputs = static_cast<int>(kInt8PanelOutputs);
constexpr int kBlockQuads = 8;  // quads of 32 inputs

struct PanelView {
    const uint8_t* quads;  // [n_in / 4][16 outputs][4]
    const float* scales;   // [number of scales][16]
    const float* minima;   // [n_in / 32][16] or null
};

// A panel of `n_in` inputs that was packed beforehand (pack_panel_int8).
inline PanelView packed_panel(const void* panel, int64_t n_in) {
    const uint8_t* quads = static_cast<const uint8_t*>(panel);
    return {quads, reinterpret_cast<const float*>(quads + kPanelOutputs * n_in), nullptr};
}

// How a weight type is laid out in a panel.
template <int kQuadsOfScale, int kBitsOfWeight, bool kHasMinima>
struct PanelTraits {
    static constexpr int kQuads = kQuadsOfScale;  // that share a scale: 8 or 4
    static constexpr int kBits = kBitsOfWeight;   // of an unsigned weight
    static constexpr bool kMinima = kHasMinima;   // or too large by half their range
};

// Whether sums start at zero: the weights have minima, or `dot` sees no offset.
template <typename Traits>
constexpr bool kStartsAtZero = Traits::kMinima || (Traits::kBits == 8 && !kDotKeepsOffset);

// Where the sum over a scale's inputs, of the block or its half `i_half`, would start with 8 bits.
template <typename Traits>
inline const int32_t& start_of_8_bits(const QuantisedBlock& x, int i_half) {
    return Traits::kQuads == kBlockQuads ? x.start : x.half_starts[i_half];
}

// Where it starts, in all lanes.
template <typename Traits>
inline Bits start_of(const QuantisedBlock& x, int i_half) {
    if (kStartsAtZero<Traits>) return splat_word(0);
    return right_signed(splat_word(start_of_8_bits<Traits>(x, i_half)), 8 - Traits::kBits);
}

// Sums of the outputs from `first` on, n being left, with their bias; null: none.
inline Floats with_bias(const float* bias, int64_t first, int64_t n, Floats sums) {
    return bias != nullptr ? add(sums, load_first(n, bias + first)) : sums;
}

}  // namespace
}  // namespace crispvl::kernels
