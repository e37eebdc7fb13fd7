// exp, erf and the activations on 16 floats.
#pragma once

#include "kernels/simd/simd.h"

namespace crispvl::kernels {

constexpr float kLowestPower = -126.0f;  // 2^x of less is no normal float

// 2^x for x from kLowestPower to 126, NaN of NaN: relative error below 2e-7 (degree-6 Taylor of
// 2^f, |f| <= 0.5).
static inline Floats exp2_in_range(Floats x) {
    const Floats n = nearest_integer(x);
    const Floats f = sub(x, n);
    Floats p = splat(1.5403530393e-4f);
    p = fma(p, f, splat(1.3333558146e-3f));
    p = fma(p, f, splat(9.6181291076e-3f));
    p = fma(p, f, splat(5.5504108665e-2f));
    p = fma(p, f, splat(2.4022650696e-1f));
    p = fma(p, f, splat(6.9314718056e-1f));
    p = fma(p, f, splat(1.0f));
    return scale_by_power(p, n);
}

// The same for all x <= 0 as well; 2^kLowestPower of NaN.
static inline Floats exp2_ps(Floats x) {
    return exp2_in_range(max(x, splat(kLowestPower)));
}

// erf(x): absolute error below 2e-7 (Abramowitz and Stegun 7.1.26).
static inline Floats erf_ps(Floats x) {
    const Floats a = magnitude(x), one = splat(1.0f);
    const Floats t = div(one, fma(a, splat(0.3275911f), one));
    Floats p = splat(1.061405429f);
    p = fma(p, t, splat(-1.453152027f));
    p = fma(p, t, splat(1.421413741f));
    p = fma(p, t, splat(-0.284496736f));
    p = fma(p, t, splat(0.254829592f));
    p = mul(p, t);
    // exp(-a^2) = 2^(-a^2 log2 e)
    const Floats e = exp2_ps(mul(mul(a, a), splat(-1.44269504089f)));
    return with_sign(fnma(p, e, one), x);
}

// x / (1 + exp(-x))
static inline Floats silu_ps(Floats x) {
    // Beyond +-87 the exponential leaves the floats; the result is x or 0 there all the same.
    const Floats bounded = min(max(x, splat(-87.0f)), splat(87.0f));
    return div(x, add(splat(1.0f), exp2_ps(mul(bounded, splat(-1.44269504089f)))));
}

// x/2 (1 + erf(x / sqrt 2)), the exact GELU.
static inline Floats gelu_ps(Floats x) {
    const Floats half = mul(x, splat(0.5f));
    return fma(half, erf_ps(mul(x, splat(0.70710678118f))), half);
}

}  // namespace crispvl::kernels
