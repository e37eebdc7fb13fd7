#include "nn/rope.h"

#include <cmath>

namespace crispvl {

Rope::Rope(const RopeConfig& config, int64_t d_head, int64_t n_total)
    : d_head_(static_cast<int>(d_head)),
      mode_(config.layout == RopeLayout::half ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL),
      original_context_(static_cast<int>(config.original_context)),
      base_(config.theta),
      frequency_scale_(1),
      extrapolation_(0),
      attn_factor_(1),
      beta_fast_(config.beta_fast),
      beta_slow_(config.beta_slow) {
    // Positions count in units; a power of two, so the product is exact.
    const float step = 1 / static_cast<float>(config.position_units);
    frequency_scale_ = step;
    switch (config.scaling) {
        case RopeScaling::none:
            break;
        case RopeScaling::linear:
            frequency_scale_ = step / config.factor;
            break;
        case RopeScaling::dynamic:
            if (n_total > config.original_context) {
                const double stretch = config.factor * static_cast<double>(n_total) /
                                           static_cast<double>(config.original_context) -
                                       (config.factor - 1.0);
                const double d = static_cast<double>(d_head);
                base_ = static_cast<float>(config.theta * std::pow(stretch, d / (d - 2)));
            }
            break;
        case RopeScaling::yarn:
            frequency_scale_ = step / config.factor;
            attn_factor_ = config.attn_factor;
            if (config.factor == 1) break;
            // ggml's frequencies are f * (s (1 - e r) + e r) with the ramp r, the scale s and the
            // extrapolation e. This e makes them step * f * ((1 - r) / factor + r) for every r.
            extrapolation_ = step * (1 - 1 / config.factor) / (1 - frequency_scale_);
            // ggml multiplies by 1 - 0.1 ln(s) itself; the config's value is the whole factor.
            attn_factor_ /= 1 - 0.1f * std::log(frequency_scale_);
            break;
    }
}

ggml_tensor* Rope::operator()(Graph& g, ggml_tensor* x, ggml_tensor* positions) const {
    return ggml_rope_ext(g.ctx(), x, positions, /*freq_factors=*/nullptr, d_head_, mode_,
                         original_context_, base_, frequency_scale_, extrapolation_, attn_factor_,
                         beta_fast_, beta_slow_);
}

}  // namespace crispvl
