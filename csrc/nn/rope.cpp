#include "nn/rope.h"

#include <algorithm>
#include <cmath>

namespace crispvl {
namespace {

// Base of dynamic NTK for a sequence beyond the trained length.
float stretched_base(const RopeConfig& c, int64_t d_head, int64_t n_total) {
    const double stretch =
        c.factor * static_cast<double>(n_total) / static_cast<double>(c.original_context) -
        (c.factor - 1.0);
    const double d = static_cast<double>(d_head);
    return static_cast<float>(c.theta * std::pow(stretch, d / (d - 2)));
}

// YaRN (arXiv 2309.00071): fast pairs keep their frequency, slow ones are divided by the factor,
// with a ramp over the pairs between them. ggml's own ramp begins and ends at whole dimensions
// only.
std::vector<float> yarn_divisors(const RopeConfig& c, int64_t d_head) {
    const double d = static_cast<double>(d_head), pi = std::acos(-1.0);
    const auto dimension_of = [&](double n_rotations) {
        const double turns = static_cast<double>(c.original_context) / (n_rotations * 2 * pi);
        return d * std::log(turns) / (2 * std::log(static_cast<double>(c.theta)));
    };
    double low = dimension_of(c.beta_fast), high = dimension_of(c.beta_slow);
    if (c.truncate) {
        low = std::floor(low);
        high = std::ceil(high);
    }
    low = std::max(low, 0.0);
    high = std::min(high, d - 1);
    if (low == high) high += 0.001;
    std::vector<float> divisors;
    for (int64_t i = 0; i < d_head / 2; ++i) {
        const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
        divisors.push_back(static_cast<float>(1 / (ramp / c.factor + (1 - ramp))));
    }
    return divisors;
}

}  // namespace

Rope::Rope(Graph& g, const RopeConfig& c, int64_t d_head, int64_t n_total, ggml_tensor* divisors)
    : d_head_(static_cast<int>(d_head)),
      mode_(c.layout == RopeLayout::half ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL),
      base_(c.theta),
      // Positions count in units; a power of two, so the product is exact.
      frequency_scale_(1 / static_cast<float>(c.position_units)),
      attn_factor_(c.attn_factor),
      divisors_(divisors) {
    if (c.scaling == RopeScaling::linear) frequency_scale_ /= c.factor;
    if (c.scaling == RopeScaling::dynamic && n_total > c.original_context) {
        base_ = stretched_base(c, d_head, n_total);
    }
    if (c.scaling == RopeScaling::yarn) divisors_ = g.constant(yarn_divisors(c, d_head));
}

ggml_tensor* Rope::operator()(Graph& g, ggml_tensor* x, ggml_tensor* positions) const {
    return ggml_rope_ext(g.ctx(), x, positions, divisors_, d_head_, mode_, /*n_ctx_orig=*/0, base_,
                         frequency_scale_, /*ext_factor=*/0.0f, attn_factor_, /*beta_fast=*/0.0f,
                         /*beta_slow=*/0.0f);
}

}  // namespace crispvl
