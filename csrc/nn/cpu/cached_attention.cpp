#include "nn/cpu/cached_attention.h"

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

ggml_tensor* CachedAttention::apply(Graph& g, ggml_tensor* q, const Layer& layer,
                                    const std::vector<SequenceStep>& steps, size_t i_layer) {
    CachedAttention attention;
    attention.n_heads_ = q->ne[1];
    attention.d_head_ = q->ne[0];
    attention.layer_ = layer;
    for (const SequenceStep& step : steps) {
        attention.sequences_.push_back({static_cast<const uint16_t*>(step.cache->k(i_layer)->data),
                                        static_cast<const uint16_t*>(step.cache->v(i_layer)->data),
                                        step.n_past, step.n_new, step.i_first});
    }
    ggml_tensor* rows = ggml_reshape_2d(g.ctx(), q, q->ne[0] * q->ne[1], q->ne[2]);
    return g.custom("cached attention", GGML_TYPE_F32, rows->ne[0], {rows}, compute,
                    g.keep(std::move(attention)));
}

void CachedAttention::compute(ggml_tensor* y, int ith, int nth, void* self) {
    const CachedAttention& attention = *static_cast<const CachedAttention*>(self);
    kernels::cached_attention(
        {floats(y->src[0]), attention.sequences_.data(),
         static_cast<int64_t>(attention.sequences_.size()), attention.n_heads_,
         attention.layer_.n_kv_heads, attention.d_head_, attention.layer_.window,
         floats(attention.layer_.sinks), static_cast<float*>(y->data)},
        ith, nth);
}

}  // namespace crispvl
