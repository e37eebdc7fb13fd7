#include "nn/experts.h"

namespace crispvl {

Experts::Projection::Projection(const Scope& scope, int64_t d_in, int64_t d_out, int64_t n_experts,
                                bool has_bias)
    : weight(scope.weight({d_in, d_out, n_experts})),
      bias(has_bias ? scope.bias({d_out, n_experts}) : nullptr) {}

ggml_tensor* Experts::Projection::operator()(Graph& g, ggml_tensor* x, ggml_tensor* chosen) const {
    ggml_tensor* y =
        ggml_mul_mat_id(g.ctx(), g.is_exact() ? widened(g, weight, x) : weight, x, chosen);
    ggml_prec_set_acc(y, GGML_PREC_F32);
    return bias != nullptr ? ggml_add_id(g.ctx(), y, bias, chosen) : y;
}

Experts::Experts(const Scope& block, int64_t width, const ExpertsConfig& c, const GateConfig& gate,
                 bool bias)
    : config_(c),
      gating_(gate),
      router_(block / "ffn_gate_inp", width, c.n, c.router_bias),
      gate_(block / (c.joined ? "ffn_gate_up_exps" : "ffn_gate_exps"), width,
            c.joined ? 2 * c.d_mlp : c.d_mlp, c.n, bias),
      down_(block / "ffn_down_exps", c.d_mlp, width, c.n, bias) {
    if (!c.joined) up_.emplace(block / "ffn_up_exps", width, c.d_mlp, c.n, bias);
}

Experts::GateUp Experts::gate_and_up(Graph& g, ggml_tensor* x, ggml_tensor* chosen) const {
    ggml_tensor* gate = gate_(g, x, chosen);
    if (up_) return {gate, (*up_)(g, x, chosen)};
    const auto half = [&](int64_t i_half) {
        return ggml_view_3d(g.ctx(), gate, config_.d_mlp, gate->ne[1], gate->ne[2], gate->nb[1],
                            gate->nb[2], static_cast<size_t>(i_half * config_.d_mlp) * gate->nb[0]);
    };
    return {half(0), half(1)};
}

ggml_tensor* Experts::weigh(Graph& g, ggml_tensor* probabilities, ggml_tensor* chosen) const {
    const int64_t n_tokens = probabilities->ne[1];
    ggml_tensor* all = ggml_reshape_3d(g.ctx(), probabilities, 1, config_.n, n_tokens);
    ggml_tensor* weights = ggml_get_rows(g.ctx(), all, chosen);  // [1, n_used, n_tokens]
    if (!config_.normalised) return weights;
    weights = ggml_reshape_2d(g.ctx(), weights, config_.n_used, n_tokens);
    weights = ggml_div(g.ctx(), weights, ggml_sum_rows(g.ctx(), weights));
    return ggml_reshape_3d(g.ctx(), weights, 1, config_.n_used, n_tokens);
}

ggml_tensor* Experts::operator()(Graph& g, ggml_tensor* x) const {
    const int64_t width = x->ne[0], n_tokens = x->ne[1];
    ggml_tensor* probabilities = ggml_soft_max(g.ctx(), router_(g, x));
    ggml_tensor* chosen =
        ggml_argsort_top_k(g.ctx(), probabilities, static_cast<int>(config_.n_used));
    ggml_tensor* weights = weigh(g, probabilities, chosen);
    x = ggml_reshape_3d(g.ctx(), x, width, 1, n_tokens);
    const GateUp inner = gate_and_up(g, x, chosen);
    ggml_tensor* y = down_(g, gating_(g, inner.gate, inner.up), chosen);
    y = ggml_mul(g.ctx(), y, weights);
    ggml_tensor* sum = nullptr;
    for (int64_t i = 0; i < config_.n_used; ++i) {
        ggml_tensor* one =
            ggml_view_2d(g.ctx(), y, width, n_tokens, y->nb[2], static_cast<size_t>(i) * y->nb[1]);
        sum = sum == nullptr ? one : ggml_add(g.ctx(), sum, one);
    }
    return config_.n_used == 1 ? ggml_cont(g.ctx(), sum) : sum;
}

}  // namespace crispvl
