// A finished vector of sums on its way to memory. Only for files compiled with AVX-512.
#pragma once

#include <immintrin.h>

#include <cstdint>

namespace crispvl::kernels {

// Lanes of the next 16 that lie within n.
static inline __mmask16 tail_mask(int64_t n) {
    return n >= 16 ? static_cast<__mmask16>(0xffff)
                   : static_cast<__mmask16>((1u << (n > 0 ? n : 0)) - 1);
}

// Rounds to the nearest BF16, ties to even.
static inline __m256i to_bf16(__m512 value) {
#ifdef __AVX512BF16__
    return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(value));
#else
    const __m512i bits = _mm512_castps_si512(value);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded =
        _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __mmask16 is_nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(
        _mm512_srli_epi32(_mm512_mask_mov_epi32(rounded, is_nan, quiet), 16));
#endif
}

static inline void store_bf16(uint16_t* y, __mmask16 mask, __m512 value) {
    _mm256_mask_storeu_epi16(y, mask, to_bf16(value));
}

static inline __m512 load_bf16(const uint16_t* p) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}

}  // namespace crispvl::kernels
