// LayerNorm and RMSNorm over the first dimension.
#pragma once

#include "nn/weights.h"
#include "runtime/graph.h"

namespace crispvl {

enum class NormKind { layer_norm, rms_norm };

class Norm {
public:
    Norm(const Scope& scope, NormKind kind, int64_t width, float epsilon)
        : kind_(kind),
          epsilon_(epsilon),
          weight_(scope.weight({width})),
          bias_(kind == NormKind::layer_norm ? scope.bias(width) : nullptr) {}

    // [width, …] -> [width, …]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const {
        if (kind_ == NormKind::rms_norm) {
            return ggml_mul(g.ctx(), ggml_rms_norm(g.ctx(), x, epsilon_), weight_);
        }
        x = ggml_mul(g.ctx(), ggml_norm(g.ctx(), x, epsilon_), weight_);
        return ggml_add(g.ctx(), x, bias_);
    }

    NormKind kind() const { return kind_; }
    float epsilon() const { return epsilon_; }
    ggml_tensor* weight() const { return weight_; }
    ggml_tensor* bias() const { return bias_; }  // null: none

private:
    NormKind kind_;
    float epsilon_;
    ggml_tensor* weight_;
    ggml_tensor* bias_;
};

}  // namespace crispvl
