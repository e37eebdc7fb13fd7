// Products of bytes on AVX2, where one instruction sums two of them into half a word
// (`vpmaddubsw`); what the names mean is said in simd/vnni.h and simd/word_sums.h.
//
// Pairs of products are summed in 16 bits while there is room: a product with 4, 5 or 6 bits is
// below 2^11, 2^12 or 2^13. With 8 bits there is none, so weights become magnitudes up to 128 and x
// takes their signs.
#pragma once

#include "kernels/simd/avx2.h"

#define CRISPVL_BYTE_PAIRS

namespace crispvl::kernels {
namespace {

constexpr bool kDotKeepsOffset = false;
template <int kBits>
constexpr int kQuadsAtOnce = kBits == 8 ? 1 : 128 >> kBits;

// ---- of eight outputs, in one register ----------------------------------------------------------

struct HalfWeights {
    __m256i magnitudes, signs;
};
inline HalfWeights signed_weights(__m256i bytes) {
    return {_mm256_abs_epi8(bytes), bytes};
}
template <int kBits>
inline HalfWeights half_weights(__m256i bytes) {
    if (kBits != 8) return {bytes, bytes};
    return signed_weights(_mm256_xor_si256(bytes, _mm256_set1_epi8(-128)));
}
template <int kBits>
inline __m256i half_dot(__m256i opened, HalfWeights w, __m256i x) {
    if (kBits == 8) x = _mm256_sign_epi8(x, w.signs);
    return _mm256_add_epi16(opened, _mm256_maddubs_epi16(w.magnitudes, x));
}
// Computed here and now: GCC would gather the terms of a whole block first, on the stack.
inline __m256i at_once(__m256i x) {
    asm("" : "+x"(x));
    return x;
}
inline __m256i half_closed(__m256i sums, __m256i opened) {
    const __m256i pairs = _mm256_madd_epi16(opened, _mm256_set1_epi16(1));
    return at_once(_mm256_add_epi32(sums, pairs));
}

// ---- of sixteen ---------------------------------------------------------------------------------

struct Weights {
    HalfWeights low, high;
};
template <int kBits>
inline Weights weights(Bits bytes) {
    return {half_weights<kBits>(bytes.low), half_weights<kBits>(bytes.high)};
}
inline Bits open_sums(Bits /*sums*/) {
    return splat_word(0);
}
inline Bits close_sums(Bits sums, Bits opened) {
    return {half_closed(sums.low, opened.low), half_closed(sums.high, opened.high)};
}
template <int kBits>
inline Bits dot(Bits opened, Weights w, Bits x) {
    return {half_dot<kBits>(opened.low, w.low, x.low),
            half_dot<kBits>(opened.high, w.high, x.high)};
}

}  // namespace
}  // namespace crispvl::kernels
