// Rounds a block of 32 numbers to bytes. Only for files compiled with AVX-512.
#pragma once

#include <immintrin.h>

#include "kernels/int8_kernels.h"

namespace crispvl::kernels {

static inline bool has_nonfinite(__m512 x) {
    constexpr int kNanOrInfinite = 0x99;
    return _mm512_fpclass_ps_mask(x, kNanOrInfinite) != 0;
}

// What is no number leaves none: the scale is NaN then.
static inline void quantise_block(__m512 low, __m512 high, QuantisedBlock& y) {
    const float largest =
        _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
    const __m512 inverse = _mm512_set1_ps(largest > 0 ? 127.0f / largest : 0.0f);
    const __m512i q_low = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
    const __m512i q_high = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y.values), _mm512_cvtepi32_epi8(q_low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(y.values + 16), _mm512_cvtepi32_epi8(q_high));
    const bool is_finite = !has_nonfinite(low) && !has_nonfinite(high);
    y.scale = is_finite ? largest / 127.0f : __builtin_nanf("");
    const int first = _mm512_reduce_add_epi32(q_low), second = _mm512_reduce_add_epi32(q_high);
    y.start = -128 * (first + second);
    y.sum = y.scale * static_cast<float>(first + second);
    y.half_starts[0] = -128 * first;
    y.half_starts[1] = -128 * second;
}

}  // namespace crispvl::kernels
