// exp and erf on 16 floats. Only for files compiled with AVX-512.
#pragma once

#include <immintrin.h>

namespace crispvl::kernels {

// 2^x for x <= 0 and moderate x > 0: relative error below 2e-7 (degree-6 Taylor of 2^f, |f| <=
// 0.5).
static inline __m512 exp2_ps(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-126.0f));
    const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const __m512 f = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(1.5403530393e-4f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.3333558146e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.6181291076e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.5504108665e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.4022650696e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.9314718056e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

// erf(x): absolute error below 2e-7 (Abramowitz and Stegun 7.1.26).
static inline __m512 erf_ps(__m512 x) {
    const __m512 a = _mm512_abs_ps(x);
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 t = _mm512_div_ps(one, _mm512_fmadd_ps(a, _mm512_set1_ps(0.3275911f), one));
    __m512 p = _mm512_set1_ps(1.061405429f);
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-1.453152027f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(1.421413741f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(-0.284496736f));
    p = _mm512_fmadd_ps(p, t, _mm512_set1_ps(0.254829592f));
    p = _mm512_mul_ps(p, t);
    // exp(-a^2) = 2^(-a^2 log2 e)
    const __m512 e = exp2_ps(_mm512_mul_ps(_mm512_mul_ps(a, a), _mm512_set1_ps(-1.44269504089f)));
    const __m512 magnitude = _mm512_fnmadd_ps(p, e, one);
    const __m512 sign = _mm512_and_ps(x, _mm512_set1_ps(-0.0f));
    return _mm512_or_ps(magnitude, sign);
}

// x / (1 + exp(-x))
static inline __m512 silu_ps(__m512 x) {
    const __m512 one = _mm512_set1_ps(1.0f);
    // Beyond +-87 the exponential leaves the floats; the result is x or 0 there all the same.
    const __m512 bounded =
        _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87.0f)), _mm512_set1_ps(87.0f));
    const __m512 e = exp2_ps(_mm512_mul_ps(bounded, _mm512_set1_ps(-1.44269504089f)));
    return _mm512_div_ps(x, _mm512_add_ps(one, e));
}

// x/2 (1 + erf(x / sqrt 2)), the exact GELU.
static inline __m512 gelu_ps(__m512 x) {
    const __m512 half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
    const __m512 e = erf_ps(_mm512_mul_ps(x, _mm512_set1_ps(0.70710678118f)));
    return _mm512_fmadd_ps(half, e, half);
}

}  // namespace crispvl::kernels
