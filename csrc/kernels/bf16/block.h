// The register block of the instruction set, and how rows are split into blocks.
#pragma once

#if defined(__AVX512BF16__)
#include "kernels/bf16/block_avx512.h"
#elif defined(__aarch64__)
#include "kernels/bf16/block_neon.h"
#else
#include "kernels/bf16/block_avx2.h"
#endif

namespace crispvl::kernels {

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

}  // namespace crispvl::kernels
