// Sixteen floats as the kernels see them, in two registers of AVX2; what the functions do is said
// in simd_avx512.h. Only for files compiled with AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace crispvl::kernels {
namespace {  // or the linker might hand what is not inlined to files for older CPUs

struct Floats {
    __m256 low, high;
};

struct FirstLanes {
    __m256i low, high;

    explicit FirstLanes(int64_t n) {
        alignas(64) constexpr int32_t kBits[32] = {-1, -1, -1, -1, -1, -1, -1, -1,
                                                   -1, -1, -1, -1, -1, -1, -1, -1};
        const int32_t* bits = kBits + 16 - (n < 0 ? 0 : n > 16 ? 16 : n);
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
inline void store_bf16(uint16_t* p, Floats x) {
    const __m256i packed = _mm256_packus_epi32(to_bf16(x.low), to_bf16(x.high));
    constexpr int kQuartersInOrder = 0xd8;  // 0, 2, 1, 3
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm256_permute4x64_epi64(packed, kQuartersInOrder));
}
inline void store_bf16_first(int64_t n, uint16_t* p, Floats x) {
    if (n >= 16) return store_bf16(p, x);
    uint16_t all[16];
    store_bf16(all, x);
    if (n > 0) std::memcpy(p, all, static_cast<size_t>(n) * sizeof all[0]);
}
inline Floats load_f16(const uint16_t* p) {
    const __m128i* halves = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
inline Floats keep_first(int64_t n, Floats x, Floats filler) {
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
inline float sum_of(Floats x) {
    const __m256 eight = _mm256_add_ps(x.low, x.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}
inline float largest_of(Floats x) {
    const __m256 eight = _mm256_max_ps(x.low, x.high);
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(four, _mm_movehdup_ps(four)));
}

}  // namespace
}  // namespace crispvl::kernels
