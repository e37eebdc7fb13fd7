// Products of bytes where one instruction sums four of them into a word (`vpdpbusd`), in AVX-512 or
// AVX-VNNI. simd/avx2.h has the same names for instructions that sum in 16 bits.
#pragma once

namespace crispvl::kernels {
namespace {

// 64 unsigned weights of kBits bits, made ready for `dot`.
struct Weights {
    Bits bytes;
};
template <int kBits>
inline Weights weights(Bits bytes) {
    return {bytes};
}
// Whether the offset of 8-bit weights is still in the products of `dot`.
constexpr bool kDotKeepsOffset = true;
// Sums of words are opened, get four products of weights and signed bytes for each word from up to
// kQuadsAtOnce calls of `dot`, and are closed.
template <int kBits>
constexpr int kQuadsAtOnce = 8;
inline Bits open_sums(Bits sums) {
    return sums;
}
inline Bits close_sums(Bits /*sums*/, Bits opened) {
    return opened;
}
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
