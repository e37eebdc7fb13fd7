// Products of bytes where one instruction sums four of them into a word (`sdot`, with i8mm
// `usdot`); what the names mean is said in simd/vnni.h.
#pragma once

#include "kernels/simd/word_sums.h"

namespace crispvl::kernels {
namespace {

inline int8x16_t signed_bytes_of(uint32x4_t words) {
    return vreinterpretq_s8_u32(words);
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
constexpr bool kDotKeepsOffset = true;
template <int kBits>
inline Weights weights(Bits bytes) {
    return {bytes};
}
inline int32x4_t dot_quarter(uint32x4_t sums, uint32x4_t w, uint32x4_t x) {
    return vusdotq_s32(as_signed(sums), vreinterpretq_u8_u32(w), signed_bytes_of(x));
}
#else
constexpr bool kDotKeepsOffset = false;
// `sdot` takes signed bytes alone: those of 8 bits lose their offset, others are below 128.
template <int kBits>
inline Weights weights(Bits bytes) {
    return {kBits == 8 ? bytes ^ splat_byte(-128) : bytes};
}
inline int32x4_t dot_quarter(uint32x4_t sums, uint32x4_t w, uint32x4_t x) {
    return vdotq_s32(as_signed(sums), signed_bytes_of(w), signed_bytes_of(x));
}
#endif

template <int kBits>
inline Bits dot(Bits opened, Weights w, Bits x) {
    return each_bits([&](int i) {
        return vreinterpretq_u32_s32(
            dot_quarter(opened.quarters[i], w.bytes.quarters[i], x.quarters[i]));
    });
}

}  // namespace
}  // namespace crispvl::kernels
