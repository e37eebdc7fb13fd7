#include "model/decoder.h"

#include <algorithm>

#include "kernels/cpu.h"
#include "model/schema.h"

namespace crispvl {
namespace {

// From here on, unpacking a panel of weights costs less than what the faster product saves.
constexpr int64_t kTokensWorthStreaming = 24;

AttentionConfig attention_config(const DecoderConfig& c) {
    return {c.width,
            c.n_heads,
            c.n_kv_heads,
            c.d_head,
            c.qkv_bias,
            c.attn_out_bias,
            c.qk_norm == DecoderQkNorm::per_head ? QkNorm::per_head : QkNorm::none,
            c.norm_epsilon,
            "attn_output"};
}

ggml_tensor* embedding_table(Weights& weights, const DecoderConfig& c) {
    ggml_tensor* table =
        weights.take(std::string(schema::kTokenEmbedding) + ".weight", {c.width, c.vocab_size});
    weights.keep_on_host(table);
    return table;
}

Linear output_head(Weights& weights, const DecoderConfig& c, ggml_tensor* embedding,
                   bool separate_head) {
    if (!c.tied_head) {
        return Linear(Scope(weights, schema::kOutput), c.width, c.vocab_size, /*bias=*/false);
    }
    if (!separate_head) return Linear(embedding);
    return Linear(weights.take_again(std::string(schema::kTokenEmbedding) + ".weight",
                                     {c.width, c.vocab_size}));
}

}  // namespace

DecoderBlock::DecoderBlock(const Scope& scope, const DecoderConfig& c)
    : attention_norm_(scope / "attn_norm", NormKind::rms_norm, c.width, c.norm_epsilon),
      attention_(scope, attention_config(c)),
      mlp_norm_(scope / "ffn_norm", NormKind::rms_norm, c.width, c.norm_epsilon),
      mlp_(scope, c.width, c.d_mlp, c.mlp_bias) {}

ggml_tensor* DecoderBlock::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                      ggml_tensor* positions,
                                      const std::vector<SequenceStep>& steps,
                                      size_t i_layer) const {
    x = ggml_add(g.ctx(), x, attention_(g, attention_norm_(g, x), rope, positions, steps, i_layer));
    return ggml_add(g.ctx(), x, mlp_(g, mlp_norm_(g, x)));
}

StreamedDecoderBlock::StreamedDecoderBlock(const DecoderBlock& b)
    : attention_norm_(b.attention_norm_),
      qkv_({&b.attention_.q(), &b.attention_.k(), &b.attention_.v()}, kernels::Epilogue::store_f32),
      attention_(&b.attention_),
      out_({&b.attention_.out()}, kernels::Epilogue::residual_f32),
      mlp_norm_(b.mlp_norm_),
      gate_up_({&b.mlp_.gate(), &b.mlp_.up()}, kernels::Epilogue::swiglu_bf16),
      down_({&b.mlp_.down()}, kernels::Epilogue::residual_f32) {}

ggml_tensor* StreamedDecoderBlock::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                              ggml_tensor* positions,
                                              const std::vector<SequenceStep>& steps,
                                              size_t i_layer, ggml_tensor* scratch) const {
    ggml_tensor* qkv = qkv_(g, attention_norm_(g, x), scratch);
    ggml_tensor* y = attention_->attend_past(g, qkv, rope, positions, steps, i_layer);
    if (y->type == GGML_TYPE_F32) y = rounded(g, y);
    x = out_(g, y, scratch, /*residual=*/x);
    return down_(g, gate_up_(g, mlp_norm_(g, x), scratch), scratch, /*residual=*/x);
}

Decoder::Decoder(Weights& weights, const DecoderConfig& c, bool separate_head)
    : config_(c),
      embedding_(embedding_table(weights, c)),
      output_norm_(Scope(weights, schema::kOutputNorm), NormKind::rms_norm, c.width,
                   c.norm_epsilon),
      head_(output_head(weights, c, embedding_, separate_head)) {
    for (int64_t i = 0; i < c.n_layers; ++i) {
        blocks_.emplace_back(Scope(weights, schema::text_block(i)), c);
    }
}

ggml_tensor* Decoder::embed(Graph& g, ggml_tensor* ids) const {
    return ggml_get_rows(g.ctx(), embedding_, ids);
}

ggml_tensor* Decoder::operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                                 const std::vector<SequenceStep>& steps) const {
    const bool streams = !streamed_.empty() && x->ne[1] >= kTokensWorthStreaming;
    const int64_t d_widest =
        std::max({config_.width, config_.d_mlp, config_.n_heads * config_.d_head});
    ggml_tensor* scratch = streams ? StreamedLinear::scratch(g, d_widest, n_threads_) : nullptr;
    std::vector<SequenceStep> own = steps;
    const bool one_sequence = steps.size() == 1;
    if (streams && one_sequence &&
        CausalAttention::supports(config_.d_head, own[0].cache->k(0)->type)) {
        own[0].scratch =
            CausalAttention::scratch(g, own[0].n_past + own[0].n_new, config_.d_head, n_threads_);
    }
    for (size_t i = 0; i < blocks_.size(); ++i) {
        x = streams ? streamed_[i](g, x, rope, positions, own, i, scratch)
                    : blocks_[i](g, x, rope, positions, own, i);
        g.tap(x, "llm_layer_" + std::to_string(i));
    }
    return g.tap(output_norm_(g, x), "llm_final_norm");
}

void Decoder::stream(int n_threads) {
    const bool is_even = config_.width % 2 == 0 && config_.d_mlp % 2 == 0;
    if (!kernels::has_avx512_bf16() || !is_even) return;
    n_threads_ = n_threads;
    streamed_.reserve(blocks_.size());
    for (const DecoderBlock& block : blocks_) streamed_.emplace_back(block);
}

}  // namespace crispvl
