// A mixture of experts (arXiv 2101.03961): of many gated MLPs a router chooses a few for each token
// and weighs their results. Follows transformers' modeling_qwen3_moe.py and modeling_gpt_oss.py.
#pragma once

#include <optional>

#include "nn/gate.h"
#include "nn/linear.h"

namespace crispvl {

struct ExpertsConfig {
    int64_t n, n_used, d_mlp;
    bool router_bias;
    bool normalised;  // the weights of a token's experts are made to sum to 1
    bool joined;      // gate and up are rows of one tensor, in that order
};

class Experts {
public:
    // `bias`: of every expert's three projections.
    Experts(const Scope& block, int64_t width, const ExpertsConfig& config, const GateConfig& gate,
            bool bias);

    // F32 [width, n_tokens] -> [width, n_tokens]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

    // Nodes of a graph that one call adds, at most.
    static size_t max_nodes(const ExpertsConfig& config) {
        return 32 + 2 * static_cast<size_t>(config.n_used);
    }

private:
    // One projection of all experts.
    struct Projection {
        Projection(const Scope& scope, int64_t d_in, int64_t d_out, int64_t n_experts, bool bias);
        // x [d_in, n_used or 1, n_tokens], chosen I32 [n_used, n_tokens] -> [d_out, n_used,
        // n_tokens]
        ggml_tensor* operator()(Graph& g, ggml_tensor* x, ggml_tensor* chosen) const;

        ggml_tensor* weight;  // [d_in, d_out, n_experts]
        ggml_tensor* bias;    // [d_out, n_experts]; null: none
    };
    struct GateUp {
        ggml_tensor *gate, *up;  // [d_mlp, n_used, n_tokens]
    };
    GateUp gate_and_up(Graph& g, ggml_tensor* x, ggml_tensor* chosen) const;
    // Softmax over all experts; what is left after the choice is normalised where the model says
    // so, which is the softmax over the chosen ones. -> [1, n_used, n_tokens]
    ggml_tensor* weigh(Graph& g, ggml_tensor* probabilities, ggml_tensor* chosen) const;

    ExpertsConfig config_;
    GateConfig gating_;
    Linear router_;
    Projection gate_;               // with the rows of up where they are joined
    std::optional<Projection> up_;  // where they are not
    Projection down_;
};

}  // namespace crispvl
