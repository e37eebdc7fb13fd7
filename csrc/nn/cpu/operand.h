// What our own operations read and write through ggml's tensors.
#pragma once

#include <optional>

#include "kernels/int8/kernels.h"
#include "nn/norm.h"

namespace crispvl {

// What a product multiplies: BF16 numbers, or for 8-bit weights bytes in scaled blocks of 32.
// Activations on their way to it are BF16 [d, …] or I8 [kernels::quantised_row_bytes(d), …].
enum class Operand { bf16, int8 };

// An operation whose result is an operand [d, …].
ggml_tensor* make_operand(Graph& g, const char* label, Operand operand, int64_t d,
                          std::initializer_list<ggml_tensor*> sources, ggml_custom_op_t compute,
                          const void* self);
// BF16 or F32 [d, …], rows contiguous, -> operand
ggml_tensor* to_operand(Graph& g, Operand operand, ggml_tensor* x);

// The two products of a gated MLP.
template <typename Product>
struct Gated {
    Product gate_up, down;
};

// How the kernels call a type of weights; none: they do not read it.
std::optional<kernels::RowType> row_type(ggml_type type);

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
