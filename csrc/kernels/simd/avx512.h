// Sixteen floats as the kernels see them, in one register of AVX-512. simd/avx2.h has the same
// names for two registers of AVX2. Only for files compiled with AVX-512.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "kernels/simd/x86_halves.h"

namespace crispvl::kernels {
namespace {

using Floats = __m512;

// Vectors of sums that stay in registers beside their operands.
constexpr int kSumsAtOnce = 12;

// Lanes of the next 16 that are within n.
inline __mmask16 tail_mask(int64_t n) {
    return n >= 16 ? static_cast<__mmask16>(0xffff)
                   : static_cast<__mmask16>((1u << (n > 0 ? n : 0)) - 1);
}

// Rounds to the nearest BF16, ties to even.
inline __m256i to_bf16(Floats value) {
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

inline Floats splat(float x) {
    return _mm512_set1_ps(x);
}
inline Floats load(const float* p) {
    return _mm512_loadu_ps(p);
}
// The first n, zeros behind them; n may be beyond 16 or below 1 here and below.
inline Floats load_first(int64_t n, const float* p) {
    return _mm512_maskz_loadu_ps(tail_mask(n), p);
}
inline void store(float* p, Floats x) {
    _mm512_storeu_ps(p, x);
}
inline void store_first(int64_t n, float* p, Floats x) {
    _mm512_mask_storeu_ps(p, tail_mask(n), x);
}
inline void store_bf16(uint16_t* p, Floats x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), to_bf16(x));
}
inline void store_bf16_first(int64_t n, uint16_t* p, Floats x) {
    _mm256_mask_storeu_epi16(p, tail_mask(n), to_bf16(x));
}
inline Floats widen_f16(Halves halves) {
    return _mm512_cvtph_ps(halves);
}
inline Floats widen_bf16(Halves halves) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
inline Floats load_bf16(const uint16_t* p) {
    return widen_bf16(load_halves(p));
}
inline Floats load_f16(const uint16_t* p) {
    return widen_f16(load_halves(p));
}
// x with `filler` in all lanes but the first n.
inline Floats keep_first(int64_t n, Floats x, Floats filler) {
    return _mm512_mask_mov_ps(filler, tail_mask(n), x);
}

inline Floats add(Floats a, Floats b) {
    return _mm512_add_ps(a, b);
}
inline Floats sub(Floats a, Floats b) {
    return _mm512_sub_ps(a, b);
}
inline Floats mul(Floats a, Floats b) {
    return _mm512_mul_ps(a, b);
}
inline Floats div(Floats a, Floats b) {
    return _mm512_div_ps(a, b);
}
// a * b + c
inline Floats fma(Floats a, Floats b, Floats c) {
    return _mm512_fmadd_ps(a, b, c);
}
// c - a * b
inline Floats fnma(Floats a, Floats b, Floats c) {
    return _mm512_fnmadd_ps(a, b, c);
}
// Where one of them is no number, b.
inline Floats max(Floats a, Floats b) {
    return _mm512_max_ps(a, b);
}
inline Floats min(Floats a, Floats b) {
    return _mm512_min_ps(a, b);
}
inline Floats magnitude(Floats x) {
    return _mm512_abs_ps(x);
}
// `x`, not negative, with the sign of `sign`.
inline Floats with_sign(Floats x, Floats sign) {
    return _mm512_or_ps(x, _mm512_and_ps(sign, splat(-0.0f)));
}
inline Floats nearest_integer(Floats x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// x * 2^n for whole n from -126 to 127.
inline Floats scale_by_power(Floats x, Floats n) {
    return _mm512_scalef_ps(x, n);
}
inline bool all_finite(Floats x) {
    constexpr int kNanOrInfinite = 0x99;
    return _mm512_fpclass_ps_mask(x, kNanOrInfinite) == 0;
}
inline float sum_of(Floats x) {
    return _mm512_reduce_add_ps(x);
}
// Lane i: the sum of x[i].
inline Floats sums_of(const Floats (&x)[16]) {
    __m512d pairs[8];  // of two vectors: their sums over 8, in turn
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        pairs[i] = _mm512_castps_pd(_mm512_add_ps(_mm512_unpacklo_ps(x[2 * i], x[2 * i + 1]),
                                                  _mm512_unpackhi_ps(x[2 * i], x[2 * i + 1])));
    }
    Floats fours[4];  // of four vectors: their sums over 4, in every quarter
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m512d a = pairs[2 * i], b = pairs[2 * i + 1];
        fours[i] = _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)),
                                 _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
    }
    constexpr int kEven = 0x88, kOdd = 0xdd;  // quarters 0 and 2, or 1 and 3, of both
    const auto added = [](Floats a, Floats b) {
        return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, kEven), _mm512_shuffle_f32x4(a, b, kOdd));
    };
    return added(added(fours[0], fours[1]), added(fours[2], fours[3]));
}
inline float largest_of(Floats x) {
    return _mm512_reduce_max_ps(x);
}

// ---- bits: 64 bytes, or 16 words of 32 bits; `&`, `|` and `^` work on them ----------------------

using Bits = __m512i;
using UnsignedWords = uint32_t __attribute__((vector_size(64)));
using SignedWords = int32_t __attribute__((vector_size(64)));

inline Bits load_bits(const void* p) {
    return _mm512_loadu_si512(p);
}
inline void store_bits(void* p, Bits x) {
    _mm512_storeu_si512(p, x);
}
inline Bits splat_byte(int8_t x) {
    return _mm512_set1_epi8(x);
}
inline Bits splat_word(int32_t x) {
    return _mm512_set1_epi32(x);
}
// at(0) to at(15).
template <typename At>
inline Bits words(const At& at) {
    return _mm512_set_epi32(at(15), at(14), at(13), at(12), at(11), at(10), at(9), at(8), at(7),
                            at(6), at(5), at(4), at(3), at(2), at(1), at(0));
}
inline Bits join(Halves low, Halves high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
// The 16 bytes at each of at(0) to at(3).
template <typename At>
inline Bits load_quarters(const At& at) {
    const auto quarter = [&](int i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at(i)));
    };
    return join(_mm256_set_m128i(quarter(1), quarter(0)), _mm256_set_m128i(quarter(3), quarter(2)));
}
// Half i of a and half i of b, for each i.
inline Bits pairs_of(Halves a, Halves b) {
    const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
    constexpr int kLows = 0x20, kHighs = 0x31;
    return join(_mm256_permute2x128_si256(low, high, kLows),
                _mm256_permute2x128_si256(low, high, kHighs));
}

// Of each quarter of a and b, in turn: their first or last words, their first or last pairs of
// words.
inline Bits first_words(Bits a, Bits b) {
    return _mm512_unpacklo_epi32(a, b);
}
inline Bits last_words(Bits a, Bits b) {
    return _mm512_unpackhi_epi32(a, b);
}
inline Bits first_pairs(Bits a, Bits b) {
    return _mm512_unpacklo_epi64(a, b);
}
inline Bits last_pairs(Bits a, Bits b) {
    return _mm512_unpackhi_epi64(a, b);
}
// Quarters 0 and 2 of a and b in turn; 1 and 3.
inline Bits even_quarters(Bits a, Bits b) {
    return _mm512_permutex2var_epi64(a, _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0), b);
}
inline Bits odd_quarters(Bits a, Bits b) {
    return _mm512_permutex2var_epi64(a, _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2), b);
}

inline Bits add_words(Bits a, Bits b) {
    return _mm512_add_epi32(a, b);
}
inline Bits multiply_words(Bits a, Bits b) {
    return _mm512_mullo_epi32(a, b);
}
inline Bits left(Bits words, int n) {
    return reinterpret_cast<Bits>(reinterpret_cast<UnsignedWords>(words) << n);
}
inline Bits right(Bits words, int n) {
    return reinterpret_cast<Bits>(reinterpret_cast<UnsignedWords>(words) >> n);
}
inline Bits right_signed(Bits words, int n) {
    return reinterpret_cast<Bits>(reinterpret_cast<SignedWords>(words) >> n);
}
// Wraps around, which values that are no numbers may make it do; the intrinsic's own sum must not.
inline int32_t sum_of_words(Bits x) {
    const __m256i eight =
        _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_add_epi32(four, _mm_srli_si128(four, 8));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_srli_si128(four, 4)));
}
// Each word as a byte; it fits.
inline void store_as_bytes(int8_t* p, Bits words) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(words));
}

inline Floats to_floats(Bits words) {
    return _mm512_cvtepi32_ps(words);
}
inline Bits to_nearest_words(Floats x) {
    return _mm512_cvtps_epi32(x);
}
inline Halves load_halves_first(int64_t n, const void* p) {
    return _mm256_maskz_loadu_epi16(tail_mask(n), p);
}
// The half-precision number in the low 16 bits of every word.
inline Floats low_halves(Bits words) {
    return widen_f16(_mm512_cvtepi32_epi16(words));
}

}  // namespace
}  // namespace crispvl::kernels
