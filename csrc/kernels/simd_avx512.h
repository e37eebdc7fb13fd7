// Sixteen floats as the kernels see them, in one register of AVX-512. simd_avx2.h has the same
// names for two registers of AVX2. Only for files compiled with AVX-512.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/avx512_epilogue.h"

namespace crispvl::kernels {

using Floats = __m512;

static inline Floats splat(float x) {
    return _mm512_set1_ps(x);
}
static inline Floats load(const float* p) {
    return _mm512_loadu_ps(p);
}
// The first n, zeros behind them; n may be beyond 16 or below 1 here and below.
static inline Floats load_first(int64_t n, const float* p) {
    return _mm512_maskz_loadu_ps(tail_mask(n), p);
}
static inline void store(float* p, Floats x) {
    _mm512_storeu_ps(p, x);
}
static inline void store_first(int64_t n, float* p, Floats x) {
    _mm512_mask_storeu_ps(p, tail_mask(n), x);
}
static inline void store_bf16(uint16_t* p, Floats x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_bf16(x));
}
static inline void store_bf16_first(int64_t n, uint16_t* p, Floats x) {
    store_bf16(p, tail_mask(n), x);
}
static inline Floats load_f16(const uint16_t* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// x with `filler` in all lanes but the first n.
static inline Floats keep_first(int64_t n, Floats x, Floats filler) {
    return _mm512_mask_mov_ps(filler, tail_mask(n), x);
}

static inline Floats add(Floats a, Floats b) {
    return _mm512_add_ps(a, b);
}
static inline Floats sub(Floats a, Floats b) {
    return _mm512_sub_ps(a, b);
}
static inline Floats mul(Floats a, Floats b) {
    return _mm512_mul_ps(a, b);
}
static inline Floats div(Floats a, Floats b) {
    return _mm512_div_ps(a, b);
}
// a * b + c
static inline Floats fma(Floats a, Floats b, Floats c) {
    return _mm512_fmadd_ps(a, b, c);
}
// c - a * b
static inline Floats fnma(Floats a, Floats b, Floats c) {
    return _mm512_fnmadd_ps(a, b, c);
}
// Where one of them is no number, b.
static inline Floats max(Floats a, Floats b) {
    return _mm512_max_ps(a, b);
}
static inline Floats min(Floats a, Floats b) {
    return _mm512_min_ps(a, b);
}
static inline Floats magnitude(Floats x) {
    return _mm512_abs_ps(x);
}
// `x`, not negative, with the sign of `sign`.
static inline Floats with_sign(Floats x, Floats sign) {
    return _mm512_or_ps(x, _mm512_and_ps(sign, splat(-0.0f)));
}
static inline Floats nearest_integer(Floats x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// x * 2^n for whole n from -126 to 127.
static inline Floats scale_by_power(Floats x, Floats n) {
    return _mm512_scalef_ps(x, n);
}
static inline float sum_of(Floats x) {
    return _mm512_reduce_add_ps(x);
}
static inline float largest_of(Floats x) {
    return _mm512_reduce_max_ps(x);
}

}  // namespace crispvl::kernels
