// Attention of a decode step on our CPU kernels: two operations for all sequences' new tokens. One
// appends their keys and values to the caches, the other attends to these. Each operation of a
// graph ends in a barrier, which costs more than a small model's work on one sequence.
#pragma once

#include <vector>

#include "kernels/bf16/kernels.h"
#include "nn/sequence_step.h"

namespace crispvl {

class CachedAttention {
public:
    // On a CPU that has the kernels.
    static bool supports(int64_t d_head, const std::vector<SequenceStep>& steps);

    struct Layer {
        int64_t n_kv_heads;
        int64_t window;            // newest keys that a query sees; 0: all
        const ggml_tensor* sinks;  // F32 [n_heads]; null: none
    };
    // Of the new tokens, all F32: q [d_head, n_heads, n_tokens], k and v
    // [d_head, n_kv_heads, n_tokens] -> [d_head * n_heads, n_tokens]
    static ggml_tensor* apply(Graph& g, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                              const Layer& layer, const std::vector<SequenceStep>& steps,
                              size_t i_layer);

private:
    static void append(ggml_tensor* y, int ith, int nth, void* self);
    static void attend(ggml_tensor* y, int ith, int nth, void* self);

    // Where a sequence's new keys and values go.
    struct Cache {
        ggml_fp16_t *k, *v;
    };

    int64_t n_heads_, d_head_;
    Layer layer_;
    std::vector<Cache> caches_;  // of the sequences in their order
    std::vector<kernels::CachedSequence> sequences_;
};

}  // namespace crispvl
