// Sums of two rows of x and two outputs at once: `usmmla` multiplies two vectors of eight bytes by
// two others. Only for files compiled with i8mm.
#pragma once

#include "kernels/int8/kernels.h"
#include "kernels/simd/simd.h"

namespace crispvl::kernels {
namespace {

constexpr int kPairsOfOutputs = 8;  // of a panel

// Output 2 k and 2 k + 1 times two rows of x: [2 outputs][2 rows], in the order of k.
using SumsOfRowPair = uint32x4_t[kPairsOfOutputs];

// Inputs [first, first + 8) of a block of x, for two rows.
inline int8x16_t eight_of_two(const QuantisedBlock& first_row, const QuantisedBlock& second_row,
                              int first) {
    return vcombine_s8(vld1_s8(first_row.values + first), vld1_s8(second_row.values + first));
}

// Adds two consecutive quads of a panel, of which the first begins at `quads`.
inline void add_two_quads(const uint8_t* quads, int8x16_t x, SumsOfRowPair& sums) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const uint32x4_t first = load_quarter(quads + 16 * i);
        const uint32x4_t second = load_quarter(quads + 64 + 16 * i);
        const auto add = [&](int k, uint32x4_t outputs) {
            sums[k] = vreinterpretq_u32_s32(
                vusmmlaq_s32(as_signed(sums[k]), vreinterpretq_u8_u32(outputs), x));
        };
        add(2 * i, vzip1q_u32(first, second));
        add(2 * i + 1, vzip2q_u32(first, second));
    }
}

// Of the row `side` of the pair.
inline Bits row_of_pair(const SumsOfRowPair& sums, int side) {
    return each_bits([&](int i) {
        return side == 0 ? vuzp1q_u32(sums[2 * i], sums[2 * i + 1])
                         : vuzp2q_u32(sums[2 * i], sums[2 * i + 1]);
    });
}

}  // namespace
}  // namespace crispvl::kernels
