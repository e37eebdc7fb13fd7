// Sixteen floats as the kernels see them, in four registers of NEON; what the functions do is said
// in simd/avx512.h. Only for 64-bit ARM.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace crispvl::kernels {
namespace {  // or the linker might hand what is not inlined to files for newer CPUs

struct Floats {
    float32x4_t quarters[4];
};
struct Halves {
    uint16x8_t low, high;
};

constexpr int kSumsAtOnce = 6;

// f(0) to f(3) as the quarters of a vector.
template <typename Vector = Floats, typename F>
inline Vector each_quarter(const F& f) {
    return {{f(0), f(1), f(2), f(3)}};
}

inline int64_t within_16(int64_t n) {
    return n < 0 ? 0 : n > 16 ? 16 : n;
}
inline size_t bytes_of_first(int64_t n, size_t size) {
    return static_cast<size_t>(within_16(n)) * size;
}

alignas(64) constexpr uint32_t kFirstLanes[32] = {
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff,
    0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};

inline Floats splat(float x) {
    return each_quarter([&](int) { return vdupq_n_f32(x); });
}
inline Floats load(const float* p) {
    return each_quarter([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline Floats load_first(int64_t n, const float* p) {
    if (n >= 16) return load(p);
    float all[16] = {};
    if (n > 0) std::memcpy(all, p, bytes_of_first(n, sizeof all[0]));
    return load(all);
}
inline void store(float* p, Floats x) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.quarters[i]);
}
inline void store_first(int64_t n, float* p, Floats x) {
    if (n >= 16) return store(p, x);
    float all[16];
    store(all, x);
    if (n > 0) std::memcpy(p, all, bytes_of_first(n, sizeof all[0]));
}

inline Halves load_halves(const void* p) {
    const uint16_t* halves = static_cast<const uint16_t*>(p);
    return {vld1q_u16(halves), vld1q_u16(halves + 8)};
}
inline Halves load_halves_first(int64_t n, const void* p) {
    if (n >= 16) return load_halves(p);
    uint16_t all[16] = {};
    if (n > 0) std::memcpy(all, p, bytes_of_first(n, sizeof all[0]));
    return load_halves(all);
}
template <typename At>
inline Halves halves_of(const At& at) {
    uint16_t all[16];
    for (int i = 0; i < 16; ++i) all[i] = static_cast<uint16_t>(at(i));
    return load_halves(all);
}
inline uint16x4_t quarter_of(Halves x, int i) {
    const uint16x8_t half = i < 2 ? x.low : x.high;
    return i % 2 == 0 ? vget_low_u16(half) : vget_high_u16(half);
}
inline Floats widen_f16(Halves halves) {
    return each_quarter(
        [&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(quarter_of(halves, i))); });
}
inline Floats widen_bf16(Halves halves) {
    return each_quarter(
        [&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(quarter_of(halves, i), 16)); });
}
inline Floats load_bf16(const uint16_t* p) {
    return widen_bf16(load_halves(p));
}
inline Floats load_f16(const uint16_t* p) {
    return widen_f16(load_halves(p));
}

// Rounds to the nearest BF16, ties to even.
inline uint16x4_t to_bf16(float32x4_t x) {
    const uint32x4_t bits = vreinterpretq_u32_f32(x);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(x, x), rounded, quiet), 16);
}
inline void store_bf16(uint16_t* p, Floats x) {
    for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, to_bf16(x.quarters[i]));
}
inline void store_bf16_first(int64_t n, uint16_t* p, Floats x) {
    if (n >= 16) return store_bf16(p, x);
    uint16_t all[16];
    store_bf16(all, x);
    if (n > 0) std::memcpy(p, all, bytes_of_first(n, sizeof all[0]));
}
inline Floats keep_first(int64_t n, Floats x, Floats filler) {
    if (n >= 16) return x;
    const uint32_t* lanes = kFirstLanes + 16 - within_16(n);
    return each_quarter([&](int i) {
        return vbslq_f32(vld1q_u32(lanes + 4 * i), x.quarters[i], filler.quarters[i]);
    });
}

inline Floats add(Floats a, Floats b) {
    return each_quarter([&](int i) { return vaddq_f32(a.quarters[i], b.quarters[i]); });
}
inline Floats sub(Floats a, Floats b) {
    return each_quarter([&](int i) { return vsubq_f32(a.quarters[i], b.quarters[i]); });
}
inline Floats mul(Floats a, Floats b) {
    return each_quarter([&](int i) { return vmulq_f32(a.quarters[i], b.quarters[i]); });
}
inline Floats div(Floats a, Floats b) {
    return each_quarter([&](int i) { return vdivq_f32(a.quarters[i], b.quarters[i]); });
}
inline Floats fma(Floats a, Floats b, Floats c) {
    return each_quarter(
        [&](int i) { return vfmaq_f32(c.quarters[i], a.quarters[i], b.quarters[i]); });
}
inline Floats fnma(Floats a, Floats b, Floats c) {
    return each_quarter(
        [&](int i) { return vfmsq_f32(c.quarters[i], a.quarters[i], b.quarters[i]); });
}
// Not vmaxq_f32 and vminq_f32, which are no number where one of the two is none.
inline Floats max(Floats a, Floats b) {
    return each_quarter([&](int i) {
        return vbslq_f32(vcgtq_f32(a.quarters[i], b.quarters[i]), a.quarters[i], b.quarters[i]);
    });
}
inline Floats min(Floats a, Floats b) {
    return each_quarter([&](int i) {
        return vbslq_f32(vcltq_f32(a.quarters[i], b.quarters[i]), a.quarters[i], b.quarters[i]);
    });
}
inline Floats magnitude(Floats x) {
    return each_quarter([&](int i) { return vabsq_f32(x.quarters[i]); });
}
inline Floats with_sign(Floats x, Floats sign) {
    const uint32x4_t bit = vdupq_n_u32(0x80000000);
    return each_quarter([&](int i) { return vbslq_f32(bit, sign.quarters[i], x.quarters[i]); });
}
inline Floats nearest_integer(Floats x) {
    return each_quarter([&](int i) { return vrndnq_f32(x.quarters[i]); });
}
inline Floats scale_by_power(Floats x, Floats n) {
    return each_quarter([&](int i) {
        const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n.quarters[i]), vdupq_n_s32(127));
        return vmulq_f32(x.quarters[i], vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
    });
}
inline bool all_finite(Floats x) {
    const float32x4_t infinite = vdupq_n_f32(__builtin_inff());
    uint32x4_t finite = vcaltq_f32(x.quarters[0], infinite);
    for (int i = 1; i < 4; ++i) finite = vandq_u32(finite, vcaltq_f32(x.quarters[i], infinite));
    return vminvq_u32(finite) != 0;
}
// Of the four quarters, lane by lane.
inline float32x4_t folded(Floats x) {
    return vaddq_f32(vaddq_f32(x.quarters[0], x.quarters[1]),
                     vaddq_f32(x.quarters[2], x.quarters[3]));
}
inline float sum_of(Floats x) {
    return vaddvq_f32(folded(x));
}
inline Floats sums_of(const Floats (&x)[16]) {
    const auto two = [&](int i) { return vpaddq_f32(folded(x[i]), folded(x[i + 1])); };
    return each_quarter([&](int i) { return vpaddq_f32(two(4 * i), two(4 * i + 2)); });
}
inline float largest_of(Floats x) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(x.quarters[0], x.quarters[1]),
                                vmaxq_f32(x.quarters[2], x.quarters[3])));
}

// ---- bits ---------------------------------------------------------------------------------------

struct Bits {
    uint32x4_t quarters[4];
};

template <typename F>
inline Bits each_bits(const F& f) {
    return each_quarter<Bits>(f);
}
inline Bits operator&(Bits a, Bits b) {
    return each_bits([&](int i) { return vandq_u32(a.quarters[i], b.quarters[i]); });
}
inline Bits operator|(Bits a, Bits b) {
    return each_bits([&](int i) { return vorrq_u32(a.quarters[i], b.quarters[i]); });
}
inline Bits operator^(Bits a, Bits b) {
    return each_bits([&](int i) { return veorq_u32(a.quarters[i], b.quarters[i]); });
}

inline uint32x4_t load_quarter(const void* p) {
    return vreinterpretq_u32_u8(vld1q_u8(static_cast<const uint8_t*>(p)));
}
template <typename At>
inline Bits load_quarters(const At& at) {
    return each_bits([&](int i) { return load_quarter(at(i)); });
}
inline Bits load_bits(const void* p) {
    return load_quarters([&](int i) { return static_cast<const uint8_t*>(p) + 16 * i; });
}
inline void store_bits(void* p, Bits x) {
    uint8_t* bytes = static_cast<uint8_t*>(p);
    for (int i = 0; i < 4; ++i) vst1q_u8(bytes + 16 * i, vreinterpretq_u8_u32(x.quarters[i]));
}
inline Bits splat_byte(int8_t x) {
    return each_bits([&](int) { return vreinterpretq_u32_s8(vdupq_n_s8(x)); });
}
inline Bits splat_word(int32_t x) {
    return each_bits([&](int) { return vreinterpretq_u32_s32(vdupq_n_s32(x)); });
}
template <typename At>
inline Bits words(const At& at) {
    int32_t all[16];
    for (int i = 0; i < 16; ++i) all[i] = at(i);
    return load_bits(all);
}
inline Bits join(Halves low, Halves high) {
    return {{vreinterpretq_u32_u16(low.low), vreinterpretq_u32_u16(low.high),
             vreinterpretq_u32_u16(high.low), vreinterpretq_u32_u16(high.high)}};
}
inline Bits pairs_of(Halves a, Halves b) {
    return {{vreinterpretq_u32_u16(vzip1q_u16(a.low, b.low)),
             vreinterpretq_u32_u16(vzip2q_u16(a.low, b.low)),
             vreinterpretq_u32_u16(vzip1q_u16(a.high, b.high)),
             vreinterpretq_u32_u16(vzip2q_u16(a.high, b.high))}};
}

inline uint64x2_t as_pairs(uint32x4_t words) {
    return vreinterpretq_u64_u32(words);
}
inline Bits first_words(Bits a, Bits b) {
    return each_bits([&](int i) { return vzip1q_u32(a.quarters[i], b.quarters[i]); });
}
inline Bits last_words(Bits a, Bits b) {
    return each_bits([&](int i) { return vzip2q_u32(a.quarters[i], b.quarters[i]); });
}
inline Bits first_pairs(Bits a, Bits b) {
    return each_bits([&](int i) {
        return vreinterpretq_u32_u64(vzip1q_u64(as_pairs(a.quarters[i]), as_pairs(b.quarters[i])));
    });
}
inline Bits last_pairs(Bits a, Bits b) {
    return each_bits([&](int i) {
        return vreinterpretq_u32_u64(vzip2q_u64(as_pairs(a.quarters[i]), as_pairs(b.quarters[i])));
    });
}
inline Bits even_quarters(Bits a, Bits b) {
    return {{a.quarters[0], b.quarters[0], a.quarters[2], b.quarters[2]}};
}
inline Bits odd_quarters(Bits a, Bits b) {
    return {{a.quarters[1], b.quarters[1], a.quarters[3], b.quarters[3]}};
}

inline int32x4_t as_signed(uint32x4_t words) {
    return vreinterpretq_s32_u32(words);
}
inline Bits add_words(Bits a, Bits b) {
    return each_bits([&](int i) { return vaddq_u32(a.quarters[i], b.quarters[i]); });
}
inline Bits multiply_words(Bits a, Bits b) {
    return each_bits([&](int i) { return vmulq_u32(a.quarters[i], b.quarters[i]); });
}
inline Bits left(Bits words, int n) {
    return each_bits([&](int i) { return vshlq_u32(words.quarters[i], vdupq_n_s32(n)); });
}
inline Bits right(Bits words, int n) {
    return left(words, -n);
}
inline Bits right_signed(Bits words, int n) {
    return each_bits([&](int i) {
        return vreinterpretq_u32_s32(vshlq_s32(as_signed(words.quarters[i]), vdupq_n_s32(-n)));
    });
}
inline int32_t sum_of_words(Bits x) {
    return vaddvq_s32(as_signed(vaddq_u32(vaddq_u32(x.quarters[0], x.quarters[1]),
                                          vaddq_u32(x.quarters[2], x.quarters[3]))));
}
inline void store_as_bytes(int8_t* p, Bits words) {
    const auto halves = [&](int i) {
        return vcombine_u16(vmovn_u32(words.quarters[i]), vmovn_u32(words.quarters[i + 1]));
    };
    vst1q_s8(p, vreinterpretq_s8_u8(vcombine_u8(vmovn_u16(halves(0)), vmovn_u16(halves(2)))));
}

inline Floats to_floats(Bits words) {
    return each_quarter([&](int i) { return vcvtq_f32_s32(as_signed(words.quarters[i])); });
}
inline Bits to_nearest_words(Floats x) {
    return each_bits([&](int i) { return vreinterpretq_u32_s32(vcvtnq_s32_f32(x.quarters[i])); });
}
inline Floats low_halves(Bits words) {
    return each_quarter(
        [&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(words.quarters[i]))); });
}

}  // namespace
}  // namespace crispvl::kernels
