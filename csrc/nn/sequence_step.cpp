#include "nn/sequence_step.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace crispvl {
namespace {

bool is_read(const ggml_tensor* tensor) {
    return tensor != nullptr && tensor->buffer != nullptr;
}

// Causal mask [n_kv, n_new]: token i of the step sees n_past + i + 1 tokens, or the newest `window`
// of them where that is not 0.
std::vector<ggml_fp16_t> causal_mask(int64_t n_past, int64_t n_new, int64_t window) {
    const int64_t n_kv = n_past + n_new;
    const ggml_fp16_t hidden = ggml_fp32_to_fp16(-INFINITY);
    std::vector<ggml_fp16_t> mask(static_cast<size_t>(n_kv * n_new), ggml_fp32_to_fp16(0.0f));
    for (int64_t i = 0; i < n_new; ++i) {
        const auto row = mask.begin() + i * n_kv;
        const int64_t n_visible = n_past + i + 1;
        std::fill(row + n_visible, row + n_kv, hidden);
        if (window > 0) std::fill(row, row + std::max<int64_t>(n_visible - window, 0), hidden);
    }
    return mask;
}

}  // namespace

SequenceStep sequence_step(Graph& g, const KvCache& cache, int64_t i_first, int64_t n_past,
                           int64_t n_new, int64_t window) {
    ggml_tensor* rows = g.input(GGML_TYPE_I64, n_new);
    ggml_tensor* mask = n_new > 1 ? g.input(GGML_TYPE_F16, n_past + n_new, n_new) : nullptr;
    SequenceStep step{&cache, i_first, n_past, n_new, rows, mask};
    if (window > 0 && n_new > 1 && step.n_kv() > window) {
        step.window = window;
        step.window_mask = g.input(GGML_TYPE_F16, step.n_kv() - step.n_unseen(window), n_new);
    }
    return step;
}

void set_input(ggml_tensor* tensor, const void* data) {
    if (is_read(tensor)) ggml_backend_tensor_set(tensor, data, 0, ggml_nbytes(tensor));
}

void set_inputs(const SequenceStep& step) {
    std::vector<int64_t> rows(static_cast<size_t>(step.n_new));
    std::iota(rows.begin(), rows.end(), step.n_past);
    set_input(step.rows, rows.data());
    if (is_read(step.mask)) {
        set_input(step.mask, causal_mask(step.n_past, step.n_new, /*window=*/0).data());
    }
    if (is_read(step.window_mask)) {
        const int64_t n_past = step.n_past - step.n_unseen(step.window);
        set_input(step.window_mask, causal_mask(n_past, step.n_new, step.window).data());
    }
}

}  // namespace crispvl
