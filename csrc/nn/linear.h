// y = W x + b, the one matrix product of every block.
#pragma once

#include "nn/weights.h"
#include "runtime/graph.h"

namespace crispvl {

class Linear {
public:
    Linear(const Scope& scope, int64_t d_in, int64_t d_out, bool bias)
        : weight_(scope.weight({d_in, d_out})), bias_(bias ? scope.bias(d_out) : nullptr) {}
    // Over a tensor bound elsewhere (a head tied to the embedding).
    explicit Linear(ggml_tensor* weight) : weight_(weight), bias_(nullptr) {}

    // [d_in, …] -> [d_out, …]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const {
        x = ggml_mul_mat(g.ctx(), weight_, x);
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
