// A row's summary from its blocks, which the including file reads with its own instructions: each
// block's sum counts relative to the largest number so far. In double over sums of a few hundred
// values in float.
#pragma once

#include <cmath>

#include "kernels/f32/kernels.h"

namespace crispvl::kernels {
namespace {  // or the linker might hand what is not inlined to files for older CPUs

constexpr int64_t kBlock = 512;  // floats, read twice, the second time from the first cache
constexpr float kInfinity = HUGE_VALF;

// `Block` has the static functions
//   float largest(const float* x, int64_t n): minus infinity where all are NaN;
//   float sum_of_exps(const float* x, int64_t n, float most): of x - most, where those far below 0
//     may count as 1e-38; NaN where one is NaN.
template <typename Block>
RowSummary summarise_blocks(const float* x, int64_t n) {
    float most = -kInfinity;
    int64_t i_most = 0;  // the block it is in
    double sum = 0;
    for (int64_t first = 0; first < n; first += kBlock) {
        const int64_t size = n - first < kBlock ? n - first : kBlock;
        const float of_block = Block::largest(x + first, size);
        if (of_block > most) {
            sum *= std::exp(static_cast<double>(most) - static_cast<double>(of_block));
            most = of_block;
            i_most = first;
        }
        const float zero = most == -kInfinity ? 0.0f : most;
        sum += static_cast<double>(Block::sum_of_exps(x + first, size, zero));
    }
    int64_t i_first = i_most;
    while (i_first < n && x[i_first] != most) ++i_first;
    return {static_cast<double>(most) + std::log(sum), i_first < n ? i_first : 0};
}

}  // namespace
}  // namespace crispvl::kernels
