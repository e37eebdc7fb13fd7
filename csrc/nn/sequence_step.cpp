#include "nn/sequence_step.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace crispvl {
namespace {

bool is_read(const ggml_tensor* tensor) {
    return tensor != nullptr && tensor->buffer != nullptr;
}

// Causal mask [n_kv, n_new]: token i of the step sees n_past + i + 1 tokens.
std::vector<ggml_fp16_t> causal_mask(int64_t n_past, int64_t n_new) {
    const int64_t n_kv = n_past + n_new;
    const ggml_fp16_t hidden = ggml_fp32_to_fp16(-INFINITY);
    std::vector<ggml_fp16_t> mask(static_cast<size_t>(n_kv * n_new), ggml_fp32_to_fp16(0.0f));
    for (int64_t i = 0; i < n_new; ++i) {
        std::fill(mask.begin() + i * n_kv + n_past + i + 1, mask.begin() + (i + 1) * n_kv, hidden);
    }
    return mask;
}

}  // namespace

SequenceStep sequence_step(Graph& g, const KvCache& cache, int64_t i_first, int64_t n_past,
                           int64_t n_new) {
    ggml_tensor* rows = g.input(GGML_TYPE_I64, n_new);
    ggml_tensor* mask = n_new > 1 ? g.input(GGML_TYPE_F16, n_past + n_new, n_new) : nullptr;
    return {&cache, i_first, n_past, n_new, rows, mask};
}

void set_input(ggml_tensor* tensor, const void* data) {
    if (is_read(tensor)) ggml_backend_tensor_set(tensor, data, 0, ggml_nbytes(tensor));
}

void set_inputs(const SequenceStep& step) {
    std::vector<int64_t> rows(static_cast<size_t>(step.n_new));
    std::iota(rows.begin(), rows.end(), step.n_past);
    set_input(step.rows, rows.data());
    if (is_read(step.mask)) set_input(step.mask, causal_mask(step.n_past, step.n_new).data());
}

}  // namespace crispvl
