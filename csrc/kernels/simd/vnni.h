// Products of bytes where one instruction sums four of them into a word (`vpdpbusd`), in AVX-512 or
// AVX-VNNI.
#pragma once

#include "kernels/simd/word_sums.h"

namespace crispvl::kernels {
namespace {

template <int kBits>
inline Weights weights(Bits bytes) {
    return {bytes};
}
// Whether the offset of 8-bit weights is still in the products of `dot`.
constexpr bool kDotKeepsOffset = true;
#if defined(__AVX512VNNI__)
template <int kBits>
inline Bits dot(Bits opened, Weights w, Bits x) {
    return _mm512_dpbusd_epi32(opened, w.bytes, x);
}
#elif defined(__AVXVNNI__)
template <int kBits>
inline Bits dot(Bits opened, Weights w, Bits x) {
    return {_mm256_dpbusd_avx_epi32(opened.low, w.bytes.low, x.low),
            _mm256_dpbusd_avx_epi32(opened.high, w.bytes.high, x.high)};
}
#endif

}  // namespace
}  // namespace crispvl::kernels
