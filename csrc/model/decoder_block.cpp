#include "model/decoder_block.h"

namespace crispvl {
namespace {

AttentionConfig attention_config(const DecoderConfig& c, int64_t window) {
    return {c.width,
            c.n_heads,
            c.n_kv_heads,
            c.d_head,
            c.qkv_bias,
            c.attn_out_bias,
            c.qk_norm == DecoderQkNorm::per_head ? QkNorm::per_head : QkNorm::none,
            c.norm_epsilon,
            "attn_output",
            c.sinks,
            window};
}

}  // namespace

DecoderBlock::DecoderBlock(const Scope& scope, const DecoderConfig& c, int64_t window)
    : attention_norm_(scope / "attn_norm", NormKind::rms_norm, c.width, c.norm_epsilon),
      attention_(scope, attention_config(c, window)),
      mlp_norm_(scope / "ffn_norm", NormKind::rms_norm, c.width, c.norm_epsilon) {
    if (c.experts) {
        experts_.emplace(scope, c.width, *c.experts, c.gate, c.mlp_bias);
    } else {
        mlp_.emplace(scope, c.width, c.d_mlp, c.gate, c.mlp_bias);
    }
}

std::vector<const Linear*> DecoderBlock::linears() const {
    const Attention& a = attention_;
    std::vector<const Linear*> all = {&a.q(), &a.k(), &a.v(), &a.out()};
    if (mlp_) all.insert(all.end(), {&mlp_->gate(), &mlp_->up(), &mlp_->down()});
    return all;
}

ggml_tensor* DecoderBlock::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                      ggml_tensor* positions,
                                      const std::vector<SequenceStep>& steps,
                                      size_t i_layer) const {
    x = ggml_add(g.ctx(), x, attention_(g, attention_norm_(g, x), rope, positions, steps, i_layer));
    return feed_forward(g, x);
}

ggml_tensor* DecoderBlock::feed_forward(Graph& g, ggml_tensor* x) const {
    ggml_tensor* y = mlp_norm_(g, x);
    return ggml_add(g.ctx(), x, mlp_ ? (*mlp_)(g, y) : (*experts_)(g, y));
}

}  // namespace crispvl
