// Attention of a decode step on our CPU kernels: one operation for all sequences' new tokens, each
// over its own KV cache.
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
    // q F32 [d_head, n_heads, n_tokens], the caches holding the new tokens when it is computed ->
    // F32 [d_head * n_heads, n_tokens]
    static ggml_tensor* apply(Graph& g, ggml_tensor* q, const Layer& layer,
                              const std::vector<SequenceStep>& steps, size_t i_layer);

private:
    static void compute(ggml_tensor* y, int ith, int nth, void* self);

    int64_t n_heads_, d_head_;
    Layer layer_;
    std::vector<kernels::CachedSequence> sequences_;
};

}  // namespace crispvl
