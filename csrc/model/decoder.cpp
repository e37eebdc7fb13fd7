#include "model/decoder.h"

#include <algorithm>

#include "gguf/schema.h"
#include "kernels/int8/kernels.h"
#include "nn/cpu/cached_attention.h"

namespace crispvl {
namespace {

// From here on, unpacking a panel of weights costs less than what the faster product saves.
constexpr int64_t kTokensWorthStreaming = 24;

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

// One for each block, or none.
template <typename Product>
std::vector<KernelDecoderBlock<Product>> on_kernels(const std::vector<DecoderBlock>& blocks,
                                                    const ReadyPanels& panels) {
    std::vector<KernelDecoderBlock<Product>> made;
    made.reserve(blocks.size());
    for (const DecoderBlock& block : blocks) {
        auto same = KernelDecoderBlock<Product>::of(block, panels);
        if (!same) return {};
        made.push_back(std::move(*same));
    }
    return made;
}

}  // namespace

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
            : is_direct ? direct_[i](g, x, rope, positions, own, i, scratch)
                        : blocks_[i](g, x, rope, positions, own, i);
        g.tap(x, "llm_layer_" + std::to_string(i));
    }
    return g.tap(output_norm_(g, x), "llm_final_norm");
}

bool Decoder::uses(Operand operand) const {
    return (operand == Operand::int8 && !direct_.empty()) ||
           std::any_of(streamed_.begin(), streamed_.end(),
                       [&](const auto& block) { return block.uses(operand); });
}

ggml_tensor* Decoder::logits(Graph& g, ggml_tensor* hidden) const {
    if (!direct_head_ || hidden->ne[1] >= kTokensWorthStreaming) return head_(g, hidden);
    return (*direct_head_)(g, direct_head_->input(g, hidden));
}

void Decoder::use_cpu_kernels(int n_threads, bool packs) {
    n_threads_ = n_threads;
    has_cpu_kernels_ = true;
    const bool has_int8_kernels = kernels::int8_kernels_name() != nullptr;
    if (packs && has_int8_kernels) {
        for (const DecoderBlock& block : blocks_) {
            for (const Linear* linear : block.linears()) panels_.add(linear->weight(), n_threads);
        }
        panels_.add(head_.weight(), n_threads);
    }
    streamed_ = on_kernels<StreamedLinear>(blocks_, panels_);
    if (!has_int8_kernels) return;
    direct_head_ = DirectLinear::joined({&head_}, panels_);
    direct_ = on_kernels<DirectLinear>(blocks_, panels_);
}

}  // namespace crispvl
