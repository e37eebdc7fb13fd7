// What happens to y = W x + bias of a matrix product on its way to memory.
#pragma once

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

}  // namespace crispvl::kernels
