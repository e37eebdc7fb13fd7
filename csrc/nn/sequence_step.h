// One sequence in a decoder graph. Its inputs are made with the graph and set when it has memory.
#pragma once

#include "nn/kv_cache.h"
#include "runtime/graph.h"

namespace crispvl {

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

// Tokens `n_past` … `n_past + n_new` of a sequence, in columns from `i_first` of the batch.
// `window`: keys that queries of the sliding layers see; 0: no layer slides.
SequenceStep sequence_step(Graph& g, const KvCache& cache, int64_t i_first, int64_t n_past,
                           int64_t n_new, int64_t window);
void set_inputs(const SequenceStep& step);

// Sets an input that a node reads; others have no memory. `tensor` may be null.
void set_input(ggml_tensor* tensor, const void* data);

}  // namespace crispvl
