// What happens to y = W x + bias of a matrix product on its way to memory.
#pragma once

#include <cstdint>

namespace crispvl::kernels {

// The last two become what the next product takes: BF16 in a product of BF16, rounded rows
// (int8/kernels.h) in one of bytes.
enum class Epilogue {
    store_f32,
    store_bf16,
    residual_f32,  // residual + scale * y
    gelu,          // exact GELU
    swiglu,        // silu(gate) * up
};

namespace {  // or the linker might hand it to files for older CPUs

// Has `n` numbers of each of some rows come near while the product is computed: a few numbers of
// every row are what no CPU foresees.
inline void fetch_ahead(const float* p, int64_t row_length, int n_rows, int64_t n) {
    constexpr int64_t kLine = 64 / sizeof(float);
    for (int r = 0; r < n_rows; ++r) {
        for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(p + r * row_length + i);
    }
}

}  // namespace

}  // namespace crispvl::kernels
