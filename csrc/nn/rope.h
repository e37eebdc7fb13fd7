// Rotary position embedding (arXiv 2104.09864) with the scalings of transformers'
// modeling_rope_utils: none, linear, dynamic NTK, yarn, longrope, and Llama 3.1's divisors.
#pragma once

#include <cstdint>

#include "runtime/graph.h"

namespace crispvl {

enum class RopeLayout { half, interleaved };  // pairs (i, i + d/2) or (2i, 2i + 1)
// factors: a divisor of each frequency (Llama 3.1). longrope: two sets of them, one up to the
// trained length and one beyond (arXiv 2402.13753, Phi-3).
enum class RopeScaling { none, linear, dynamic, yarn, factors, longrope };

struct RopeConfig {
    RopeLayout layout;
    float theta;
    RopeScaling scaling;
    float factor = 1;                     // linear, dynamic, yarn
    int64_t original_context = 0;         // dynamic, yarn, longrope: the trained length in tokens
    float beta_fast = 32, beta_slow = 1;  // yarn
    bool truncate = true;                 // yarn: the ramp begins and ends at whole dimensions
    float attn_factor = 1;                // yarn, longrope
    // V2PE (arXiv 2412.09616): an image token advances the position by 1/units, text by 1.
    int64_t position_units = 1;

    // Whether a sequence of this length takes the second set of longrope's factors.
    bool is_long(int64_t n_total) const {
        return scaling == RopeScaling::longrope && n_total > original_context;
    }
};

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
