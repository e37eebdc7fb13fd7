#include "nn/cpu/cached_attention.h"

#include <ggml-cpu.h>

#include <algorithm>

#include "nn/cpu/operand.h"

namespace crispvl {

bool CachedAttention::supports(int64_t d_head, const std::vector<SequenceStep>& steps) {
    return kernels::bf16_kernels_name() != nullptr && d_head % 16 == 0 &&
           d_head <= kernels::kLargestCachedHead &&
           std::all_of(steps.begin(), steps.end(), [](const SequenceStep& step) {
               return step.cache->k(0)->type == GGML_TYPE_F16;
           });
}

ggml_tensor* CachedAttention::apply(Graph& g, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                                    const Layer& layer, const std::vector<SequenceStep>& steps,
                                    size_t i_layer) {
    CachedAttention made;
    made.n_heads_ = q->ne[1];
    made.d_head_ = q->ne[0];
    made.layer_ = layer;
    for (const SequenceStep& step : steps) {
        auto* keys = static_cast<ggml_fp16_t*>(step.cache->k(i_layer)->data);
        auto* values = static_cast<ggml_fp16_t*>(step.cache->v(i_layer)->data);
        made.caches_.push_back({keys, values});
        made.sequences_.push_back({keys, values, step.n_past, step.n_new, step.i_first});
    }
    const CachedAttention* attention = g.keep(std::move(made));
    // What this returns holds nothing: it makes the caches' readers wait.
    ggml_tensor* appended = g.custom("cache append", GGML_TYPE_F32, 1, {k, v}, append, attention);
    ggml_tensor* rows = ggml_reshape_2d(g.ctx(), q, q->ne[0] * q->ne[1], q->ne[2]);
    return g.custom("cached attention", GGML_TYPE_F32, rows->ne[0], {rows, appended}, attend,
                    attention);
}

void CachedAttention::append(ggml_tensor* y, int ith, int nth, void* self) {
    const CachedAttention& attention = *static_cast<const CachedAttention*>(self);
    const int64_t width = attention.layer_.n_kv_heads * attention.d_head_;
    const auto put = [&](const ggml_tensor* rows, int64_t i, ggml_fp16_t* to) {
        const char* row =
            static_cast<const char*>(rows->data) + static_cast<size_t>(i) * rows->nb[2];
        ggml_cpu_fp32_to_fp16(reinterpret_cast<const float*>(row), to, width);
    };
    for (size_t k = 0; k < attention.sequences_.size(); ++k) {
        const kernels::CachedSequence& sequence = attention.sequences_[k];
        const Cache& cache = attention.caches_[k];
        for (int64_t i = 0; i < sequence.n_new; ++i) {
            const int64_t column = sequence.i_first + i, at = (sequence.n_past + i) * width;
            if (column % nth != ith) continue;
            put(y->src[0], column, cache.k + at);
            put(y->src[1], column, cache.v + at);
        }
    }
}

void CachedAttention::attend(ggml_tensor* y, int ith, int nth, void* self) {
    const CachedAttention& attention = *static_cast<const CachedAttention*>(self);
    kernels::cached_attention(
        {floats(y->src[0]), attention.sequences_.data(),
         static_cast<int64_t>(attention.sequences_.size()), attention.n_heads_,
         attention.layer_.n_kv_heads, attention.d_head_, attention.layer_.window,
         floats(attention.layer_.sinks), static_cast<float*>(y->data)},
        ith, nth);
}

}  // namespace crispvl
