// Multi-head attention of queries over other tokens, as PyTorch's MultiheadAttention computes it.
#pragma once

#include "nn/linear.h"

namespace crispvl {

class CrossAttention {
public:
    struct KeysAndValues {
        ggml_tensor *k, *v;  // [d_head, n_tokens, n_heads, n_tiles]
    };

    CrossAttention(const Scope& scope, int64_t width, int64_t n_heads);

    // x [width, n_tokens, n_tiles]
    KeysAndValues look_at(Graph& g, ggml_tensor* x) const;
    // x [width, n_queries, n_tiles] -> the same shape
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, const KeysAndValues& seen) const;

private:
    // [width, n, n_tiles] -> [d_head, n, n_heads, n_tiles]
    ggml_tensor* heads(Graph& g, ggml_tensor* x) const;

    int64_t n_heads_, d_head_;
    Linear q_, k_, v_, out_;
};

}  // namespace crispvl
