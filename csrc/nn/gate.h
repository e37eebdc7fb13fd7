// The gate of a gated MLP: what multiplies its up projection.
#pragma once

#include "runtime/graph.h"

namespace crispvl {

// silu: silu(gate) * up. clamped, of gpt-oss: both cut off at a limit, the gate from above only,
// then gate * sigmoid(alpha * gate) * (up + 1).
enum class GateKind { silu, clamped };

struct GateConfig {
    GateKind kind = GateKind::silu;
    float alpha = 0, limit = 0;  // clamped

    // gate and up F32 [d_mlp, …] -> [d_mlp, …]
    ggml_tensor* operator()(Graph& g, ggml_tensor* gate, ggml_tensor* up) const {
        return kind == GateKind::silu ? ggml_swiglu_split(g.ctx(), gate, up)
                                      : ggml_swiglu_oai(g.ctx(), gate, up, alpha, limit);
    }
};

}  // namespace crispvl
