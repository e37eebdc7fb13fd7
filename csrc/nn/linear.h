// y = W x + b, the one matrix product of every block.
#pragma once

#include "nn/weights.h"
#include "runtime/graph.h"

namespace crispvl {

// The weight in F32: else ggml rounds activations to the weight's type. Computed once `x` is there,
// so that one such copy at a time takes memory.
inline ggml_tensor* widened(Graph& g, ggml_tensor* weight, ggml_tensor* x) {
    if (weight->type == GGML_TYPE_F32) return weight;
    g.expand(x);
    return ggml_cast(g.ctx(), weight, GGML_TYPE_F32);
}

class Linear {
public:
    Linear(const Scope& scope, int64_t d_in, int64_t d_out, bool bias)
        : weight_(scope.weight({d_in, d_out})), bias_(bias ? scope.bias(d_out) : nullptr) {}
    // Over a tensor bound elsewhere (a head tied to the embedding).
    explicit Linear(ggml_tensor* weight) : weight_(weight), bias_(nullptr) {}

    // [d_in, …] -> [d_out, …]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const {
        x = ggml_mul_mat(g.ctx(), g.is_exact() ? widened(g, weight_, x) : weight_, x);
        // Half-precision sums overflow on InternViT-6B's activations; CPUs sum in F32 anyway.
        ggml_prec_set_acc(x, GGML_PREC_F32);
        return bias_ != nullptr ? ggml_add(g.ctx(), x, bias_) : x;
    }

    ggml_tensor* weight() const { return weight_; }
    ggml_tensor* bias() const { return bias_; }  // null: none

private:
    ggml_tensor* weight_;
    ggml_tensor* bias_;
};

}  // namespace crispvl
