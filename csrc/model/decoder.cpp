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

const std::string kTable = std::string(schema::kTokenEmbedding) + ".weight";

Linear output_head(Weights& weights, const DecoderConfig& c, ggml_tensor* embedding, size_t i_host,
                   size_t i_backend) {
    if (!c.tied_head) {
        const Scope scope(weights, schema::kOutput, i_backend);
        return Linear(scope, c.width, c.vocab_size, /*bias=*/false);
    }
    if (i_backend == i_host) return Linear(embedding);
    return Linear(weights.take_again(kTable, {c.width, c.vocab_size}, i_backend));
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
    : attention_norm_(b.attention_norm_, Operand::bf16),
      qkv_({&b.attention_.q(), &b.attention_.k(), &b.attention_.v()}, kernels::Epilogue::store_f32),
      attention_(&b.attention_),
      out_({&b.attention_.out()}, kernels::Epilogue::residual_f32),
      mlp_norm_(b.mlp_norm_, Operand::bf16),
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

bool DirectDecoderBlock::supports(const DecoderBlock& b) {
    return DirectLinear::supports({&b.attention_.q(), &b.attention_.k(), &b.attention_.v()}) &&
           DirectLinear::supports({&b.attention_.out()}) &&
           DirectLinear::supports({&b.mlp_.gate(), &b.mlp_.up()}) &&
           DirectLinear::supports({&b.mlp_.down()});
}

DirectDecoderBlock::DirectDecoderBlock(const DecoderBlock& b)
    : qkv_({&b.attention_.q(), &b.attention_.k(), &b.attention_.v()}, kernels::RowEpilogue::store),
      attention_norm_(b.attention_norm_, qkv_),
      attention_(&b.attention_),
      out_({&b.attention_.out()}, kernels::RowEpilogue::residual),
      gate_up_({&b.mlp_.gate(), &b.mlp_.up()}, kernels::RowEpilogue::swiglu),
      mlp_norm_(b.mlp_norm_, gate_up_),
      down_({&b.mlp_.down()}, kernels::RowEpilogue::residual) {}

ggml_tensor* DirectDecoderBlock::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                            ggml_tensor* positions,
                                            const std::vector<SequenceStep>& steps,
                                            size_t i_layer) const {
    ggml_tensor* qkv = qkv_(g, attention_norm_(g, x));
    ggml_tensor* y = attention_->attend_past(g, qkv, rope, positions, steps, i_layer);
    x = out_(g, out_.input(g, y), /*residual=*/x);
    y = gate_up_(g, mlp_norm_(g, x));
    return down_(g, down_.input(g, y), /*residual=*/x);
}

Decoder::Decoder(Weights& weights, const DecoderConfig& c, const std::vector<size_t>& places,
                 size_t i_host)
    : config_(c),
      embedding_(weights.take(kTable, {c.width, c.vocab_size}, i_host)),
      output_norm_(Scope(weights, schema::kOutputNorm, places.back()), NormKind::rms_norm, c.width,
                   c.norm_epsilon),
      head_(output_head(weights, c, embedding_, i_host, places.back())) {
    for (size_t i = 0; i < places.size(); ++i) {
        const Scope scope(weights, schema::text_block(static_cast<int64_t>(i)), places[i]);
        blocks_.emplace_back(scope, c);
    }
}

ggml_tensor* Decoder::embed(Graph& g, ggml_tensor* ids) const {
    return ggml_get_rows(g.ctx(), embedding_, ids);
}

ggml_tensor* Decoder::operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                                 const std::vector<SequenceStep>& steps) const {
    const bool is_few = x->ne[1] < kTokensWorthStreaming;
    const bool streams = !streamed_.empty() && !is_few, is_direct = !direct_.empty() && is_few;
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
        x = streams     ? streamed_[i](g, x, rope, positions, own, i, scratch)
            : is_direct ? direct_[i](g, x, rope, positions, own, i)
                        : blocks_[i](g, x, rope, positions, own, i);
        g.tap(x, "llm_layer_" + std::to_string(i));
    }
    return g.tap(output_norm_(g, x), "llm_final_norm");
}

ggml_tensor* Decoder::logits(Graph& g, ggml_tensor* hidden) const {
    if (!direct_head_ || hidden->ne[1] >= kTokensWorthStreaming) return head_(g, hidden);
    return (*direct_head_)(g, direct_head_->input(g, hidden));
}

void Decoder::use_cpu_kernels(int n_threads) {
    n_threads_ = n_threads;
    const bool is_even = config_.width % 2 == 0 && config_.d_mlp % 2 == 0;
    if (kernels::bf16_kernels_name() != nullptr && is_even) {
        streamed_.reserve(blocks_.size());
        for (const DecoderBlock& block : blocks_) streamed_.emplace_back(block);
    }
    if (!kernels::has_avx512_vnni()) return;
    if (DirectLinear::supports({&head_})) {
        direct_head_.emplace(std::vector<const Linear*>{&head_}, kernels::RowEpilogue::store);
    }
    if (!std::all_of(blocks_.begin(), blocks_.end(), DirectDecoderBlock::supports)) return;
    direct_.reserve(blocks_.size());
    for (const DecoderBlock& block : blocks_) direct_.emplace_back(block);
}

}  // namespace crispvl
