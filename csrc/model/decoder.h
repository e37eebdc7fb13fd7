// The language model: Qwen2, Qwen3, InternLM2 and InternLM3 are rows of DecoderConfig.
// Follows transformers' modeling_qwen2.py / modeling_qwen3.py and OpenGVLab's modeling_internlm2.py.
#pragma once

#include <vector>

#include "nn/attention.h"
#include "nn/mlp.h"

namespace crispvl {

// x += attention(norm(x)); x += mlp(norm(x))
class DecoderBlock {
public:
    DecoderBlock(const Scope& scope, const DecoderConfig& config);
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                            const std::vector<SequenceStep>& steps, size_t i_layer) const;

private:
    Norm attention_norm_;
    Attention attention_;
    Norm mlp_norm_;
    SwigluMlp mlp_;
};

class Decoder {
public:
    // Sequences that one step may serve; bounds the largest graph.
    static constexpr size_t kMaxSequences = 16;

    // `separate_head`: place a tied head beside the layers, as a second copy of the embedding.
    Decoder(Weights& weights, const DecoderConfig& config, bool separate_head);

    // ids I32 [n_tokens] -> [width, n_tokens]
    ggml_tensor* embed(Graph& g, ggml_tensor* ids) const;
    // x [width, n_tokens] -> normalised hidden states [width, n_tokens]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                            const std::vector<SequenceStep>& steps) const;
    // [width, n] -> logits [vocab_size, n]
    ggml_tensor* logits(Graph& g, ggml_tensor* hidden) const { return head_(g, hidden); }

    size_t max_nodes(size_t n_sequences) const {
        return 64 + blocks_.size() * (40 + 16 * n_sequences);
    }

private:
    ggml_tensor* embedding_;  // [width, vocab_size]
    std::vector<DecoderBlock> blocks_;
    Norm output_norm_;
    Linear head_;
};

}  // namespace crispvl
