// Multi-head attention with grouped queries: bidirectional over a tile for the encoder, causal over
// a KV cache for the decoder. One block serves both.
#pragma once

#include <optional>
#include <vector>

#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/rope.h"
#include "nn/sequence_step.h"

namespace crispvl {

enum class QkNorm { none, full, per_head };

struct AttentionConfig {
    int64_t width, n_heads, n_kv_heads, d_head;
    bool qkv_bias, out_bias;
    QkNorm qk_norm;
    float norm_epsilon;
    const char* out_name;  // the output projection's name in the file
    bool sinks = false;    // a learnt logit per head that takes part in each softmax
    int64_t window = 0;    // newest keys that a query sees, its own among them; 0: all
};

class Attention {
public:
    Attention(const Scope& block, const AttentionConfig& config);

    // x [width, n_tokens, n_tiles]: every token of a tile sees every other.
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

    // x [width, n_tokens]: each sequence sees its own past.
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                            const std::vector<SequenceStep>& steps, size_t i_layer) const;

    // The part between the projections: qkv [(n_heads + 2 * n_kv_heads) * d_head, n_tokens] holds
    // their results one after another -> [n_heads * d_head, n_tokens].
    ggml_tensor* attend_past(Graph& g, ggml_tensor* qkv, const Rope& rope, ggml_tensor* positions,
                             const std::vector<SequenceStep>& steps, size_t i_layer) const;

    const AttentionConfig& config() const { return config_; }
    const Linear& q() const { return q_; }
    const Linear& k() const { return k_; }
    const Linear& v() const { return v_; }
    const Linear& out() const { return out_; }
    const ggml_tensor* sinks() const { return sinks_; }  // F32 [n_heads]; null: none

private:
    struct Qkv {
        ggml_tensor *q, *k, *v;  // [d_head, n_heads or n_kv_heads, n_tokens, n_tiles]
    };
    Qkv project(Graph& g, ggml_tensor* x) const;
    ggml_tensor* attend(Graph& g, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                        ggml_tensor* mask) const;
    ggml_tensor* attend_past(Graph& g, Qkv qkv, const Rope& rope, ggml_tensor* positions,
                             const std::vector<SequenceStep>& steps, size_t i_layer) const;
    void store(Graph& g, const Qkv& qkv, const SequenceStep& step, size_t i_layer) const;
    ggml_tensor* attend_sequence(Graph& g, const Qkv& qkv, const SequenceStep& step,
                                 size_t i_layer) const;

    AttentionConfig config_;
    Linear q_, k_, v_, out_;
    std::optional<Norm> q_norm_, k_norm_;
    ggml_tensor* sinks_;
};

}  // namespace crispvl
