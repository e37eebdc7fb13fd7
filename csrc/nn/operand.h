// What our own operations read and write through ggml's tensors.
#pragma once

#include "kernels/int8_kernels.h"
#include "nn/norm.h"

namespace crispvl {

// The values of an F32 tensor; null for none.
inline const float* floats(const ggml_tensor* x) {
    return x != nullptr ? static_cast<const float*>(x->data) : nullptr;
}

// Rounds norm(x) to the bytes of `y`; the share of thread `ith` of `nth`.
inline void quantise_normed_rows(const Norm& norm, const ggml_tensor* x, ggml_tensor* y, int ith,
                                 int nth) {
    kernels::quantise_rows(
        {floats(x), ggml_nrows(x), x->ne[0], floats(norm.weight()), floats(norm.bias()),
         norm.epsilon(), norm.kind() == NormKind::layer_norm, y->data},
        ith, nth);
}

}  // namespace crispvl
