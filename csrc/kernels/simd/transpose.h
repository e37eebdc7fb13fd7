// Rows of words to columns. Compiled once per instruction set.
#pragma once

#include "kernels/simd/simd.h"

namespace crispvl::kernels {
namespace {

// Eight words of 16 rows, of which row i begins at `row(i)`: vector k gets their words k in order.
template <typename Row>
inline void transpose_eight_words(const Row& row, Bits* out) {
    Bits r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = join(load_halves(row(i)), load_halves(row(i + 8)));
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        t[2 * i] = first_words(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = last_words(r[2 * i], r[2 * i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const Bits a = t[i / 2], b = t[2 + i / 2], c = t[4 + i / 2], d = t[6 + i / 2];
        const Bits low = i % 2 == 0 ? first_pairs(a, b) : last_pairs(a, b);
        const Bits high = i % 2 == 0 ? first_pairs(c, d) : last_pairs(c, d);
        out[i] = even_quarters(low, high);
        out[i + 4] = odd_quarters(low, high);
    }
}

}  // namespace
}  // namespace crispvl::kernels
