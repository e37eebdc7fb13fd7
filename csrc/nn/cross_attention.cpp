#include "nn/cross_attention.h"

#include <cmath>

namespace crispvl {

CrossAttention::CrossAttention(const Scope& scope, int64_t width, int64_t n_heads)
    : n_heads_(n_heads),
      d_head_(width / n_heads),
      q_(scope / "attn_q", width, width, /*bias=*/true),
      k_(scope / "attn_k", width, width, /*bias=*/true),
      v_(scope / "attn_v", width, width, /*bias=*/true),
      out_(scope / "attn_out", width, width, /*bias=*/true) {}

ggml_tensor* CrossAttention::heads(Graph& g, ggml_tensor* x) const {
    x = ggml_reshape_4d(g.ctx(), x, d_head_, n_heads_, x->ne[1], x->ne[2]);
    return ggml_permute(g.ctx(), x, 0, 2, 1, 3);
}

CrossAttention::KeysAndValues CrossAttention::look_at(Graph& g, ggml_tensor* x) const {
    return {heads(g, k_(g, x)), heads(g, v_(g, x))};
}

ggml_tensor* CrossAttention::operator()(Graph& g, ggml_tensor* x, const KeysAndValues& seen) const {
    const float scale = 1.0f / std::sqrt(static_cast<float>(d_head_));
    ggml_tensor* y = ggml_flash_attn_ext(g.ctx(), heads(g, q_(g, x)), seen.k, seen.v,
                                         /*mask=*/nullptr, scale, /*max_bias=*/0.0f,
                                         /*logit_softcap=*/0.0f);
    ggml_prec_set_acc(y, GGML_PREC_F32);
    return out_(g, ggml_reshape_3d(g.ctx(), y, d_head_ * n_heads_, y->ne[2], y->ne[3]));
}

}  // namespace crispvl
