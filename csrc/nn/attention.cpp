#include "nn/attention.h"

#include <cmath>

#include "nn/cpu/cached_attention.h"
#include "nn/cpu/packed.h"

namespace crispvl {
namespace {

std::optional<Norm> qk_norm(const Scope& scope, const AttentionConfig& c, int64_t n_heads) {
    if (c.qk_norm == QkNorm::none) return std::nullopt;
    const int64_t width = c.qk_norm == QkNorm::full ? n_heads * c.d_head : c.d_head;
    return Norm(scope, NormKind::rms_norm, width, c.norm_epsilon);
}

}  // namespace

Attention::Attention(const Scope& block, const AttentionConfig& c)
    : config_(c),
      q_(block / "attn_q", c.width, c.n_heads * c.d_head, c.qkv_bias),
      k_(block / "attn_k", c.width, c.n_kv_heads * c.d_head, c.qkv_bias),
      v_(block / "attn_v", c.width, c.n_kv_heads * c.d_head, c.qkv_bias),
      out_(block / c.out_name, c.n_heads * c.d_head, c.width, c.out_bias),
      q_norm_(qk_norm(block / "attn_q_norm", c, c.n_heads)),
      k_norm_(qk_norm(block / "attn_k_norm", c, c.n_kv_heads)),
      sinks_(c.sinks ? (block / "attn_sinks").weight({c.n_heads}) : nullptr) {}

Attention::Qkv Attention::project(Graph& g, ggml_tensor* x) const {
    const int64_t n_tokens = x->ne[1], n_tiles = x->ne[2];
    const auto heads = [&](const Linear& linear, const std::optional<Norm>& norm, int64_t n_heads) {
        ggml_tensor* y = linear(g, x);
        if (norm && config_.qk_norm == QkNorm::full) y = (*norm)(g, y);
        y = ggml_reshape_4d(g.ctx(), y, config_.d_head, n_heads, n_tokens, n_tiles);
        if (norm && config_.qk_norm == QkNorm::per_head) y = (*norm)(g, y);
        return y;
    };
    return {heads(q_, q_norm_, config_.n_heads), heads(k_, k_norm_, config_.n_kv_heads),
            heads(v_, std::nullopt, config_.n_kv_heads)};
}

// q [d_head, n_tokens, n_heads, n], k and v [d_head, n_kv, n_kv_heads, n] -> [width, n_tokens, n]
ggml_tensor* Attention::attend(Graph& g, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                               ggml_tensor* mask) const {
    const float scale = 1.0f / std::sqrt(static_cast<float>(config_.d_head));
    ggml_tensor* x = ggml_flash_attn_ext(g.ctx(), q, k, v, mask, scale, /*max_bias=*/0.0f,
                                         /*logit_softcap=*/0.0f);
    ggml_prec_set_acc(x, GGML_PREC_F32);
    if (sinks_ != nullptr) ggml_flash_attn_ext_add_sinks(x, sinks_);
    return ggml_reshape_3d(g.ctx(), x, x->ne[0] * x->ne[1], x->ne[2], x->ne[3]);
}

ggml_tensor* Attention::operator()(Graph& g, ggml_tensor* x) const {
    const Qkv qkv = project(g, x);
    const auto tokens_first = [&](ggml_tensor* y) { return ggml_permute(g.ctx(), y, 0, 2, 1, 3); };
    return out_(g, attend(g, tokens_first(qkv.q), tokens_first(qkv.k), tokens_first(qkv.v),
                          /*mask=*/nullptr));
}

ggml_tensor* Attention::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                   ggml_tensor* positions, const std::vector<SequenceStep>& steps,
                                   size_t i_layer) const {
    return out_(g, attend_past(g, project(g, x), rope, positions, steps, i_layer));
}

ggml_tensor* Attention::attend_past(Graph& g, ggml_tensor* qkv, const Rope& rope,
                                    ggml_tensor* positions, const std::vector<SequenceStep>& steps,
                                    size_t i_layer) const {
    int64_t i_head = 0;
    const auto heads = [&](const std::optional<Norm>& norm, int64_t n_heads) {
        const size_t d_head_bytes = static_cast<size_t>(config_.d_head) * sizeof(float);
        ggml_tensor* y =
            ggml_view_3d(g.ctx(), qkv, config_.d_head, n_heads, qkv->ne[1], d_head_bytes,
                         qkv->nb[1], static_cast<size_t>(i_head) * d_head_bytes);
        i_head += n_heads;
        return norm ? (*norm)(g, y) : y;
    };
    // Evaluated in this order: queries, keys, values.
    ggml_tensor* q = heads(q_norm_, config_.n_heads);
    ggml_tensor* k = heads(k_norm_, config_.n_kv_heads);
    ggml_tensor* v = heads(std::nullopt, config_.n_kv_heads);
    return attend_past(g, Qkv{q, k, v}, rope, positions, steps, i_layer);
}

ggml_tensor* Attention::attend_past(Graph& g, Qkv qkv, const Rope& rope, ggml_tensor* positions,
                                    const std::vector<SequenceStep>& steps, size_t i_layer) const {
    qkv.q = rope(g, qkv.q, positions);
    qkv.k = rope(g, qkv.k, positions);
    if (steps.front().kernel == PastKernel::cached) {
        return CachedAttention::apply(g, qkv.q, qkv.k, qkv.v,
                                      {config_.n_kv_heads, config_.window, sinks_}, steps, i_layer);
    }
    for (const SequenceStep& step : steps) store(g, qkv, step, i_layer);
    ggml_tensor* all = nullptr;
    for (const SequenceStep& step : steps) {
        ggml_tensor* y = attend_sequence(g, qkv, step, i_layer);
        all = all == nullptr ? y : ggml_concat(g.ctx(), all, y, /*dim=*/1);
    }
    return all;
}

// Appends a sequence's new keys and values to its cache.
void Attention::store(Graph& g, const Qkv& qkv, const SequenceStep& step, size_t i_layer) const {
    const auto append = [&](ggml_tensor* cache, ggml_tensor* y) {
        ggml_tensor* rows =
            ggml_view_2d(g.ctx(), y, config_.d_head * config_.n_kv_heads, step.n_new, y->nb[2],
                         static_cast<size_t>(step.i_first) * y->nb[2]);
        g.expand(ggml_set_rows(g.ctx(), cache, rows, step.rows));
    };
    append(step.cache->k(i_layer), qkv.k);
    append(step.cache->v(i_layer), qkv.v);
}

ggml_tensor* Attention::attend_sequence(Graph& g, const Qkv& qkv, const SequenceStep& step,
                                        size_t i_layer) const {
    const int64_t d_head = config_.d_head, n_unseen = step.n_unseen(config_.window);
    const int64_t n_seen = step.n_kv() - n_unseen;
    ggml_tensor *k = step.cache->k(i_layer), *v = step.cache->v(i_layer);
    // This sequence's columns of the batch's queries [d_head, n_heads, n_batch].
    ggml_tensor* q = ggml_view_3d(g.ctx(), qkv.q, d_head, config_.n_heads, step.n_new, qkv.q->nb[1],
                                  qkv.q->nb[2], static_cast<size_t>(step.i_first) * qkv.q->nb[2]);
    if (step.kernel == PastKernel::causal) {
        const auto rows = [&](ggml_tensor* cache) {
            return ggml_view_3d(g.ctx(), cache, d_head, config_.n_kv_heads, n_seen,
                                ggml_row_size(cache->type, d_head), cache->nb[1],
                                static_cast<size_t>(n_unseen) * cache->nb[1]);
        };
        return CausalAttention::apply(g, q, rows(k), rows(v), sinks_, config_.window, step.scratch);
    }
    const auto heads = [&](ggml_tensor* cache) {
        return ggml_view_3d(g.ctx(), cache, d_head, n_seen, config_.n_kv_heads, cache->nb[1],
                            ggml_row_size(cache->type, d_head),
                            static_cast<size_t>(n_unseen) * cache->nb[1]);
    };
    const bool slides = config_.window > 0 && step.n_kv() > config_.window;
    return attend(g, ggml_permute(g.ctx(), q, 0, 2, 1, 3), heads(k), heads(v),
                  slides ? step.window_mask : step.mask);
}

}  // namespace crispvl
