// Rotary position embedding (arXiv 2104.09864) with the scalings of transformers'
// modeling_rope_utils: none, linear, dynamic NTK, yarn, longrope, and Llama 3.1's divisors.
#pragma once

#include <vector>

#include "model/config.h"
#include "runtime/graph.h"

namespace crispvl {

class Rope {
public:
    // `n_total` is the sequence length in positions once this step is done: dynamic NTK raises the
    // base when it passes the trained length. `divisors`: of each frequency, F32 [d_head / 2],
    // where the scaling brings some; else null.
    Rope(Graph& g, const RopeConfig& config, int64_t d_head, int64_t n_total,
         ggml_tensor* divisors = nullptr);

    // [d_head, n_heads, n_tokens] -> the same, rotated by I32 `positions` [n_tokens], which count
    // in 1/position_units.
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, ggml_tensor* positions) const;

private:
    int d_head_, mode_;
    float base_, frequency_scale_, attn_factor_;
    ggml_tensor* divisors_;  // null: none
};

}  // namespace crispvl
