#include "model/decoder.h"

#include <algorithm>

#include "gguf/schema.h"
#include "kernels/int8/kernels.h"
#include "nn/cpu/cached_attention.h"

namespace crispvl {
namespace {

// From here on, unpacking a panel of weights costs less than what the faster product saves.
constexpr int64_t kTokensWorthStreaming = 24;

using kernels::Epilogue;
using kernels::RowEpilogue;

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

std::optional<StreamedDecoderBlock::Operands> StreamedDecoderBlock::best_operands(
    const DecoderBlock& b) {
    const auto best = [](const auto& supports) -> std::optional<Operand> {
        for (const Operand operand : {Operand::int8, Operand::bf16}) {
            if (supports(operand)) return operand;
        }
        return std::nullopt;
    };
    const Attention& a = b.attention_;
    const std::optional<Operand> qkv = best([&](Operand operand) {
        return StreamedLinear::supports({&a.q(), &a.k(), &a.v()}, operand, Epilogue::store_f32);
    });
    const std::optional<Operand> out = best([&](Operand operand) {
        return StreamedLinear::supports({&a.out()}, operand, Epilogue::residual_f32);
    });
    if (!qkv || !out) return std::nullopt;
    if (!b.has_plain_mlp()) return Operands{*qkv, *out, std::nullopt};
    const std::optional<Operand> mlp = best([&](Operand operand) {
        const GatedMlp& m = *b.mlp_;
        return StreamedLinear::supports({&m.gate(), &m.up()}, operand, Epilogue::swiglu) &&
               StreamedLinear::supports({&m.down()}, operand, Epilogue::residual_f32);
    });
    if (!mlp) return std::nullopt;
    return Operands{*qkv, *out, mlp};
}

StreamedDecoderBlock::StreamedDecoderBlock(const DecoderBlock& b, const Operands& operands)
    : attention_norm_(b.attention_norm_, operands.qkv),
      qkv_({&b.attention_.q(), &b.attention_.k(), &b.attention_.v()}, operands.qkv,
           Epilogue::store_f32),
      out_({&b.attention_.out()}, operands.out, Epilogue::residual_f32),
      block_(&b) {
    if (!operands.mlp) return;
    const GatedMlp& m = *b.mlp_;
    const Operand operand = *operands.mlp;
    mlp_.emplace(Mlp{PackedNorm(b.mlp_norm_, operand),
                     StreamedLinear({&m.gate(), &m.up()}, operand, Epilogue::swiglu),
                     StreamedLinear({&m.down()}, operand, Epilogue::residual_f32)});
}

bool StreamedDecoderBlock::uses(Operand operand) const {
    return qkv_.operand() == operand || out_.operand() == operand ||
           (mlp_ && mlp_->down.operand() == operand);
}

ggml_tensor* StreamedDecoderBlock::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                              ggml_tensor* positions,
                                              const std::vector<SequenceStep>& steps,
                                              size_t i_layer, ggml_tensor* scratch) const {
    ggml_tensor* qkv = qkv_(g, attention_norm_(g, x), scratch);
    ggml_tensor* y = block_->attention_.attend_past(g, qkv, rope, positions, steps, i_layer);
    x = out_(g, to_operand(g, out_.operand(), y), scratch, /*residual=*/x);
    if (!mlp_) return block_->feed_forward(g, x);
    return mlp_->down(g, mlp_->gate_up(g, mlp_->norm(g, x), scratch), scratch, /*residual=*/x);
}

bool DirectDecoderBlock::supports(const DecoderBlock& b) {
    const Attention& a = b.attention_;
    const bool suits_attention =
        DirectLinear::supports({&a.q(), &a.k(), &a.v()}, RowEpilogue::store) &&
        DirectLinear::supports({&a.out()}, RowEpilogue::residual);
    if (!suits_attention || !b.has_plain_mlp()) return suits_attention;
    const GatedMlp& m = *b.mlp_;
    return DirectLinear::supports({&m.gate(), &m.up()}, RowEpilogue::swiglu) &&
           DirectLinear::supports({&m.down()}, RowEpilogue::residual);
}

DirectDecoderBlock::DirectDecoderBlock(const DecoderBlock& b)
    : qkv_({&b.attention_.q(), &b.attention_.k(), &b.attention_.v()}, RowEpilogue::store),
      attention_norm_(b.attention_norm_, qkv_),
      out_({&b.attention_.out()}, RowEpilogue::residual),
      block_(&b) {
    if (!b.has_plain_mlp()) return;
    const GatedMlp& m = *b.mlp_;
    const DirectLinear gate_up({&m.gate(), &m.up()}, RowEpilogue::swiglu);
    mlp_.emplace(Mlp{gate_up, DirectLinear({&m.down()}, RowEpilogue::residual),
                     DirectNorm(b.mlp_norm_, gate_up)});
}

ggml_tensor* DirectDecoderBlock::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                            ggml_tensor* positions,
                                            const std::vector<SequenceStep>& steps,
                                            size_t i_layer) const {
    ggml_tensor* qkv = qkv_(g, attention_norm_(g, x));
    ggml_tensor* y = block_->attention_.attend_past(g, qkv, rope, positions, steps, i_layer);
    x = out_(g, out_.input(g, y), /*residual=*/x);
    if (!mlp_) return block_->feed_forward(g, x);
    y = mlp_->gate_up(g, mlp_->norm(g, x));
    return mlp_->down(g, mlp_->down.input(g, y), /*residual=*/x);
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
        blocks_.emplace_back(scope, c, c.window_of(i));
    }
    const int64_t n_pairs = c.d_head / 2;
    if (c.rope.scaling == RopeScaling::factors) {
        rope_divisors_ = weights.take(schema::kRopeFactors, {n_pairs}, i_host);
    }
    if (c.rope.scaling == RopeScaling::longrope) {
        rope_divisors_ = weights.take(schema::kRopeShortFactors, {n_pairs}, i_host);
        long_rope_divisors_ = weights.take(schema::kRopeLongFactors, {n_pairs}, i_host);
    }
}

Rope Decoder::rope(Graph& g, int64_t n_total) const {
    const bool is_long = config_.rope.is_long(n_total);
    return Rope(g, config_.rope, config_.d_head, n_total,
                is_long ? long_rope_divisors_ : rope_divisors_);
}

ggml_tensor* Decoder::embed(Graph& g, ggml_tensor* ids) const {
    return ggml_get_rows(g.ctx(), embedding_, ids);
}

// Chooses what reads the caches. A prompt of one sequence is worth packing its keys and values.
std::vector<SequenceStep> Decoder::with_kernels(Graph& g, const std::vector<SequenceStep>& steps,
                                                bool streams) const {
    std::vector<SequenceStep> chosen = steps;
    SequenceStep& first = chosen.front();
    if (!has_cpu_kernels_ || !CachedAttention::supports(config_.d_head, steps)) return chosen;
    if (streams && steps.size() == 1 &&
        CausalAttention::supports(config_.d_head, first.cache->k(0)->type)) {
        first.kernel = PastKernel::causal;
        first.scratch =
            CausalAttention::scratch(g, first.n_past + first.n_new, config_.d_head, n_threads_);
        return chosen;
    }
    for (SequenceStep& step : chosen) step.kernel = PastKernel::cached;
    return chosen;
}

ggml_tensor* Decoder::operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                                 const std::vector<SequenceStep>& steps) const {
    const bool is_few = x->ne[1] < kTokensWorthStreaming;
    const bool streams = !streamed_.empty() && !is_few, is_direct = !direct_.empty() && is_few;
    const int64_t d_widest =
        std::max({config_.width, config_.d_mlp, config_.n_heads * config_.d_head});
    ggml_tensor* scratch = streams ? StreamedLinear::scratch(g, d_widest, n_threads_) : nullptr;
    const std::vector<SequenceStep> own = with_kernels(g, steps, streams);
    for (size_t i = 0; i < blocks_.size(); ++i) {
        x = streams     ? streamed_[i](g, x, rope, positions, own, i, scratch)
            : is_direct ? direct_[i](g, x, rope, positions, own, i)
                        : blocks_[i](g, x, rope, positions, own, i);
        g.tap(x, "llm_layer_" + std::to_string(i));
    }
    return g.tap(output_norm_(g, x), "llm_final_norm");
}

bool Decoder::uses(Operand operand) const {
    return (operand == Operand::int8 && !direct_.empty()) ||
           std::any_of(streamed_.begin(), streamed_.end(),
                       [&](const StreamedDecoderBlock& block) { return block.uses(operand); });
}

ggml_tensor* Decoder::logits(Graph& g, ggml_tensor* hidden) const {
    if (!direct_head_ || hidden->ne[1] >= kTokensWorthStreaming) return head_(g, hidden);
    return (*direct_head_)(g, direct_head_->input(g, hidden));
}

void Decoder::use_cpu_kernels(int n_threads) {
    n_threads_ = n_threads;
    has_cpu_kernels_ = true;
    streamed_.reserve(blocks_.size());
    for (const DecoderBlock& block : blocks_) {
        const auto operands = StreamedDecoderBlock::best_operands(block);
        if (!operands) {
            streamed_.clear();
            break;
        }
        streamed_.emplace_back(block, *operands);
    }
    if (kernels::int8_kernels_name() == nullptr) return;
    if (DirectLinear::supports({&head_}, RowEpilogue::store)) {
        direct_head_.emplace(std::vector<const Linear*>{&head_}, RowEpilogue::store);
    }
    if (!std::all_of(blocks_.begin(), blocks_.end(), DirectDecoderBlock::supports)) return;
    direct_.reserve(blocks_.size());
    for (const DecoderBlock& block : blocks_) direct_.emplace_back(block);
}

}  // namespace crispvl
