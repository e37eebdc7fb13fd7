// Sixteen floats as the kernels see them, in two registers of AVX2; what the functions do is said
// in simd/avx512.h. Only for files compiled with AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "kernels/simd/x86_halves.h"

namespace crispvl::kernels {
namespace {  // or the linker might hand what is not inlined to files for older CPUs

struct Floats {
    __m256 low, high;
};

constexpr int kSumsAtOnce = 6;

alignas(64) constexpr int32_t kFirstLanes[32] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                 -1, -1, -1, -1, -1, -1, -1, -1};

// Masks of the first n lanes.
struct FirstLanes {
    __m256i low, high;

    explicit FirstLanes(int64_t n) {
        const int32_t* bits = kFirstLanes + 16 - (n < 0 ? 0 : n > 16 ? 16 : n);
        low = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits));
        high = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits + 8));
    }
};

inline Floats splat(float x) {
    return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline Floats load(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline Floats load_first(int64_t n, const float* p) {
    if (n >= 16) return load(p);
    const FirstLanes lanes(n);
    return {_mm256_maskload_ps(p, lanes.low), _mm256_maskload_ps(p + 8, lanes.high)};
}
inline void store(float* p, Floats x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}
inline void store_first(int64_t n, float* p, Floats x) {
    if (n >= 16) return store(p, x);
    const FirstLanes lanes(n);
    _mm256_maskstore_ps(p, lanes.low, x.low);
    _mm256_maskstore_ps(p + 8, lanes.high, x.high);
}

// Rounds to the nearest BF16, ties to even: the upper halves of the lanes.
inline __m256i to_bf16(__m256 x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const __m256i rounded = _mm256_castps_si256(_mm256_blendv_ps(
        _mm256_castsi256_ps(_mm256_add_epi32(bits, half)), _mm256_castsi256_ps(quiet), is_nan));
    return _mm256_srli_epi32(rounded, 16);
}
// 0, 2, 1, 3: what packing leaves apart in its two halves.
constexpr int kQuartersInOrder = 0xd8;

inline void store_bf16(uint16_t* p, Floats x) {
    const __m256i packed = _mm256_packus_epi32(to_bf16(x.low), to_bf16(x.high));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_permute4x64_epi64(packed, kQuartersInOrder));
}
inline void store_bf16_first(int64_t n, uint16_t* p, Floats x) {
    if (n >= 16) return store_bf16(p, x);
    uint16_t all[16];
    store_bf16(all, x);
    if (n > 0) std::memcpy(p, all, static_cast<size_t>(n) * sizeof all[0]);
}
inline Floats load_bf16(const uint16_t* p) {
    const __m128i* halves = reinterpret_cast<const __m128i*>(p);
    const auto wide = [](__m128i x) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
    };
    return {wide(_mm_loadu_si128(halves)), wide(_mm_loadu_si128(halves + 1))};
}
inline Floats load_f16(const uint16_t* p) {
    const __m128i* halves = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
inline Floats keep_first(int64_t n, Floats x, Floats filler) {
    if (n >= 16) return x;
    const FirstLanes lanes(n);
    return {_mm256_blendv_ps(filler.low, x.low, _mm256_castsi256_ps(lanes.low)),
            _mm256_blendv_ps(filler.high, x.high, _mm256_castsi256_ps(lanes.high))};
}

inline Floats add(Floats a, Floats b) {
    return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Floats sub(Floats a, Floats b) {
    return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Floats mul(Floats a, Floats b) {
    return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Floats div(Floats a, Floats b) {
    return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline Floats fma(Floats a, Floats b, Floats c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Floats fnma(Floats a, Floats b, Floats c) {
    return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
inline Floats max(Floats a, Floats b) {
    return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Floats min(Floats a, Floats b) {
    return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Floats magnitude(Floats x) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, x.low), _mm256_andnot_ps(sign, x.high)};
}
inline Floats with_sign(Floats x, Floats sign) {
    const __m256 bit = _mm256_set1_ps(-0.0f);
    return {_mm256_or_ps(x.low, _mm256_and_ps(sign.low, bit)),
            _mm256_or_ps(x.high, _mm256_and_ps(sign.high, bit))};
}
inline Floats nearest_integer(Floats x) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(x.low, kNearest), _mm256_round_ps(x.high, kNearest)};
}
inline __m256 power_of_two(__m256 n) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}
inline Floats scale_by_power(Floats x, Floats n) {
    return mul(x, {power_of_two(n.low), power_of_two(n.high)});
}
inline bool all_finite(Floats x) {
    const Floats a = magnitude(x);
    const __m256 infinite = _mm256_set1_ps(__builtin_inff());
    return _mm256_movemask_ps(_mm256_cmp_ps(a.low, infinite, _CMP_NLT_UQ)) == 0 &&
           _mm256_movemask_ps(_mm256_cmp_ps(a.high, infinite, _CMP_NLT_UQ)) == 0;
}
inline float sum_of(Floats x) {
    const __m256 eight = _mm256_add_ps(x.low, x.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
// Lane i: the sum of x[i], of eight.
inline __m256 sums_of_eight(const Floats* x) {
    const auto halves = [&](int i) { return _mm256_add_ps(x[i].low, x[i].high); };
    const auto quarters = [&](int i) { return _mm256_hadd_ps(halves(i), halves(i + 1)); };
    const __m256 a = _mm256_hadd_ps(quarters(0), quarters(2));
    const __m256 b = _mm256_hadd_ps(quarters(4), quarters(6));
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}
inline Floats sums_of(const Floats (&x)[16]) {
    return {sums_of_eight(x), sums_of_eight(x + 8)};
}
inline float largest_of(Floats x) {
    const __m256 eight = _mm256_max_ps(x.low, x.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

// ---- bits ---------------------------------------------------------------------------------------

struct Bits {
    __m256i low, high;
};
using UnsignedWords = uint32_t __attribute__((vector_size(32)));
using SignedWords = int32_t __attribute__((vector_size(32)));

inline Bits operator&(Bits a, Bits b) {
    return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)};
}
inline Bits operator|(Bits a, Bits b) {
    return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)};
}
inline Bits operator^(Bits a, Bits b) {
    return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)};
}

inline Bits load_bits(const void* p) {
    const __m256i* halves = static_cast<const __m256i*>(p);
    return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
inline void store_bits(void* p, Bits x) {
    __m256i* halves = static_cast<__m256i*>(p);
    _mm256_storeu_si256(halves, x.low);
    _mm256_storeu_si256(halves + 1, x.high);
}
inline Bits splat_byte(int8_t x) {
    return {_mm256_set1_epi8(x), _mm256_set1_epi8(x)};
}
inline Bits splat_word(int32_t x) {
    return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
template <typename At>
inline Bits words(const At& at) {
    return {_mm256_set_epi32(at(7), at(6), at(5), at(4), at(3), at(2), at(1), at(0)),
            _mm256_set_epi32(at(15), at(14), at(13), at(12), at(11), at(10), at(9), at(8))};
}
inline Bits join(Halves low, Halves high) {
    return {low, high};
}
template <typename At>
inline Bits load_quarters(const At& at) {
    const auto quarter = [&](int i) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at(i)));
    };
    return {_mm256_set_m128i(quarter(1), quarter(0)), _mm256_set_m128i(quarter(3), quarter(2))};
}
inline Bits pairs_of(Halves a, Halves b) {
    const __m256i low = _mm256_unpacklo_epi16(a, b), high = _mm256_unpackhi_epi16(a, b);
    constexpr int kLows = 0x20, kHighs = 0x31;
    return {_mm256_permute2x128_si256(low, high, kLows),
            _mm256_permute2x128_si256(low, high, kHighs)};
}

inline Bits first_words(Bits a, Bits b) {
    return {_mm256_unpacklo_epi32(a.low, b.low), _mm256_unpacklo_epi32(a.high, b.high)};
}
inline Bits last_words(Bits a, Bits b) {
    return {_mm256_unpackhi_epi32(a.low, b.low), _mm256_unpackhi_epi32(a.high, b.high)};
}
inline Bits first_pairs(Bits a, Bits b) {
    return {_mm256_unpacklo_epi64(a.low, b.low), _mm256_unpacklo_epi64(a.high, b.high)};
}
inline Bits last_pairs(Bits a, Bits b) {
    return {_mm256_unpackhi_epi64(a.low, b.low), _mm256_unpackhi_epi64(a.high, b.high)};
}
inline Bits even_quarters(Bits a, Bits b) {
    constexpr int kLows = 0x20;
    return {_mm256_permute2x128_si256(a.low, b.low, kLows),
            _mm256_permute2x128_si256(a.high, b.high, kLows)};
}
inline Bits odd_quarters(Bits a, Bits b) {
    constexpr int kHighs = 0x31;
    return {_mm256_permute2x128_si256(a.low, b.low, kHighs),
            _mm256_permute2x128_si256(a.high, b.high, kHighs)};
}

inline Bits add_words(Bits a, Bits b) {
    return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)};
}
inline Bits multiply_words(Bits a, Bits b) {
    return {_mm256_mullo_epi32(a.low, b.low), _mm256_mullo_epi32(a.high, b.high)};
}
template <typename Words, typename Shift>
inline Bits shifted(Bits x, const Shift& shift) {
    return {reinterpret_cast<__m256i>(shift(reinterpret_cast<Words>(x.low))),
            reinterpret_cast<__m256i>(shift(reinterpret_cast<Words>(x.high)))};
}
inline Bits left(Bits words, int n) {
    return shifted<UnsignedWords>(words, [n](UnsignedWords x) { return x << n; });
}
inline Bits right(Bits words, int n) {
    return shifted<UnsignedWords>(words, [n](UnsignedWords x) { return x >> n; });
}
inline Bits right_signed(Bits words, int n) {
    return shifted<SignedWords>(words, [n](SignedWords x) { return x >> n; });
}
inline int32_t sum_of_words(Bits x) {
    const __m256i eight = _mm256_add_epi32(x.low, x.high);
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    four = _mm_add_epi32(four, _mm_srli_si128(four, 8));
    return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_srli_si128(four, 4)));
}
// The low halves of 16 words, which fit.
inline __m256i low_halves_of(Bits words) {
    const __m256i packed = _mm256_packus_epi32(words.low, words.high);
    return _mm256_permute4x64_epi64(packed, kQuartersInOrder);
}
inline void store_as_bytes(int8_t* p, Bits words) {
    const __m256i halves =
        _mm256_permute4x64_epi64(_mm256_packs_epi32(words.low, words.high), kQuartersInOrder);
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

inline Floats to_floats(Bits words) {
    return {_mm256_cvtepi32_ps(words.low), _mm256_cvtepi32_ps(words.high)};
}
inline Bits to_nearest_words(Floats x) {
    return {_mm256_cvtps_epi32(x.low), _mm256_cvtps_epi32(x.high)};
}
inline Floats widen_f16(Halves halves) {
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
}
inline Floats widen_bf16(Halves halves) {
    const __m256i low = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(halves));
    const __m256i high = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(halves, 1));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
}
inline Halves load_halves_first(int64_t n, const void* p) {
    if (n >= 16) return load_halves(p);
    uint16_t all[16] = {};
    if (n > 0) std::memcpy(all, p, static_cast<size_t>(n) * sizeof all[0]);
    return load_halves(all);
}
inline Floats low_halves(Bits words) {
    return widen_f16(low_halves_of(words & splat_word(0xffff)));
}

}  // namespace
}  // namespace crispvl::kernels
