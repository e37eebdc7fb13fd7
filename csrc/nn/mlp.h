// The two feed-forward blocks: GELU (encoder) and gated (decoder).
#pragma once

#include "nn/gate.h"
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

// down(silu(gate(x)) * up(x)), or another gate in place of silu
class GatedMlp {
public:
    GatedMlp(const Scope& block, int64_t width, int64_t d_mlp, const GateConfig& gate, bool bias)
        : gating_(gate),
          gate_(block / "ffn_gate", width, d_mlp, bias),
          up_(block / "ffn_up", width, d_mlp, bias),
          down_(block / "ffn_down", d_mlp, width, bias) {}

    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const {
        ggml_tensor* gate = gate_(g, x);
        return down_(g, gating_(g, gate, up_(g, x)));
    }
    GateKind gate_kind() const { return gating_.kind; }
    const Linear& gate() const { return gate_; }
    const Linear& up() const { return up_; }
    const Linear& down() const { return down_; }

private:
    GateConfig gating_;
    Linear gate_, up_, down_;
};

}  // namespace crispvl
