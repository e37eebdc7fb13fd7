// The language model: Qwen2, Qwen3, InternLM2, InternLM3, Llama, Mistral, Phi-3, Qwen3-MoE and
// gpt-oss are rows of DecoderConfig. Follows transformers' modeling files of these names and
// OpenGVLab's modeling_internlm2.py.
#pragma once

#include <optional>
#include <vector>

#include "model/config.h"
#include "model/decoder_block.h"
#include "nn/cpu/direct.h"
#include "nn/cpu/streamed.h"

namespace crispvl {

class Decoder {
public:
    // Sequences that one step may serve; bounds the largest graph.
    static constexpr size_t kMaxSequences = 16;

    // `places`: the backend of each layer, an index of Backends::all; the head is with the last.
    // `i_host`: the backend of the embedding; a tied head elsewhere is a second copy of it.
    Decoder(Weights& weights, const DecoderConfig& config, const std::vector<size_t>& places,
            size_t i_host);

    // For a step after which the longest sequence has `n_total` positions.
    Rope rope(Graph& g, int64_t n_total) const;
    // ids I32 [n_tokens] -> [width, n_tokens]
    ggml_tensor* embed(Graph& g, ggml_tensor* ids) const;
    // x [width, n_tokens] -> normalised hidden states [width, n_tokens]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                            const std::vector<SequenceStep>& steps) const;
    // [width, n] -> logits [vocab_size, n]
    ggml_tensor* logits(Graph& g, ggml_tensor* hidden) const;

    // Moves the blocks onto our CPU kernels where these can serve them. Call once the weights are
    // bound. `packs`: 8-bit weights are laid out beforehand, which takes as much memory again.
    void use_cpu_kernels(int n_threads, bool packs);
    bool uses(Operand operand) const;
    size_t packed_bytes() const { return panels_.n_bytes(); }

    size_t max_nodes(size_t n_sequences) const {
        const size_t n_mlp = config_.experts ? Experts::max_nodes(*config_.experts) : 0;
        return 64 + blocks_.size() * (48 + n_mlp + 16 * n_sequences);
    }

private:
    std::vector<SequenceStep> with_kernels(Graph& g, const std::vector<SequenceStep>& steps,
                                           bool streams) const;

    DecoderConfig config_;
    ggml_tensor* embedding_;  // [width, vocab_size]
    // F32 [d_head / 2], where the rotary frequencies have divisors: of all lengths or of those up
    // to the trained one, and of those beyond; else null.
    ggml_tensor *rope_divisors_ = nullptr, *long_rope_divisors_ = nullptr;
    std::vector<DecoderBlock> blocks_;
    ReadyPanels panels_;
    std::vector<KernelDecoderBlock<StreamedLinear>>
        streamed_;  // empty, or one for each block: many tokens
    std::vector<KernelDecoderBlock<DirectLinear>>
        direct_;  // empty, or one for each block: a few tokens
    bool has_cpu_kernels_ = false;
    int n_threads_ = 1;
    Norm output_norm_;
    Linear head_;
    std::optional<DirectLinear> direct_head_;
};

}  // namespace crispvl
