// Multi-head attention with grouped queries: bidirectional over a tile for the encoder, causal over
// a KV cache for the decoder. One block serves both.
#pragma once

#include <optional>
#include <vector>

#include "nn/kv_cache.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/rope.h"

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

// What reads the KV cache: ggml's attention on any device, or on a CPU one of our kernels, for many
// tokens of one sequence or for a few of several.
enum class PastKernel { ggml, causal, cached };

// One sequence's share of a decoder step: columns [i_first, i_first + n_new) of the batch, appended
// to its cache after n_past tokens.
struct SequenceStep {
    const KvCache* cache;
    int64_t i_first, n_past, n_new;
    ggml_tensor* rows;  // I64 [n_new], the cache rows to write
    ggml_tensor* mask;  // F16 [n_past + n_new, n_new]; null when n_new is 1: all is visible
    // The same of sliding layers, from the oldest key that a new token sees there; null where all
    // that is left is visible.
    ggml_tensor* window_mask = nullptr;
    int64_t window = 0;  // of window_mask
    PastKernel kernel = PastKernel::ggml;
    ggml_tensor* scratch = nullptr;  // of CausalAttention

    int64_t n_kv() const { return n_past + n_new; }
    // Keys of the past that no new token sees through a window; 0 for no window.
    int64_t n_unseen(int64_t n_newest) const {
        return n_newest == 0 || n_past < n_newest ? 0 : n_past + 1 - n_newest;
    }
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
