// The inputs of one sequence in a decoder graph: made with the graph, set when it has memory.
#pragma once

#include "nn/attention.h"

namespace crispvl {

// Tokens `n_past` … `n_past + n_new` of a sequence, in columns from `i_first` of the batch.
// `window`: keys that queries of the sliding layers see; 0: no layer slides.
SequenceStep sequence_step(Graph& g, const KvCache& cache, int64_t i_first, int64_t n_past,
                           int64_t n_new, int64_t window);
void set_inputs(const SequenceStep& step);

// Sets an input that a node reads; others have no memory. `tensor` may be null.
void set_input(ggml_tensor* tensor, const void* data);

}  // namespace crispvl
