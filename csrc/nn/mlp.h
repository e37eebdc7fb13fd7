// The two feed-forward blocks: GELU (encoder) and SwiGLU (decoder).
#pragma once

#include "nn/linear.h"

namespace crispvl {

// down(gelu(up(x))) with the exact GELU of the published models; its tanh approximation is off by
// up to 5e-4 per activation.
class GeluMlp {
public:
    GeluMlp(const Scope& up, const Scope& down, int64_t d_in, int64_t d_hidden, int64_t d_out)
        : up_(up, d_in, d_hidden, /*bias=*/true), down_(down, d_hidden, d_out, /*bias=*/true) {}

    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const {
        return down_(g, ggml_gelu_erf(g.ctx(), up_(g, x)));
    }
    const Linear& up() const { return up_; }
    const Linear& down() const { return down_; }

private:
    Linear up_, down_;
};

// down(silu(gate(x)) * up(x))
class SwigluMlp {
public:
    SwigluMlp(const Scope& block, int64_t width, int64_t d_mlp, bool bias)
        : gate_(block / "ffn_gate", width, d_mlp, bias),
          up_(block / "ffn_up", width, d_mlp, bias),
          down_(block / "ffn_down", d_mlp, width, bias) {}

    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const {
        return down_(g, ggml_swiglu_split(g.ctx(), gate_(g, x), up_(g, x)));
    }
    const Linear& gate() const { return gate_; }
    const Linear& up() const { return up_; }
    const Linear& down() const { return down_; }

private:
    Linear gate_, up_, down_;
};

}  // namespace crispvl
