// Unpacks 16 rows of weights from their GGUF blocks into a panel. Only for files compiled with
// AVX-512 VNNI. A format tells its block's inputs and bytes and how it lies in a panel; `unpack`
// reads one block of each row.
//
// Layouts: ggml-common.h of ggml.
#pragma once

#include <cstring>

#include "kernels/int8_panel_avx512.h"

namespace crispvl::kernels {
namespace {  // or the linker might hand their functions to files for older CPUs

// Where a panel is unpacked to, as PanelView reads it.
struct PanelSpace {
    uint8_t (*quads)[64];
    float (*scales)[kPanelOutputs];
    float (*minima)[kPanelOutputs];

    PanelView view() const { return {quads[0], scales[0], minima[0]}; }
    // From input `i` on, a multiple of 32.
    template <typename Traits>
    PanelSpace from(int64_t i) const {
        return {quads + i / 4, scales + i / 4 / Traits::kQuads, minima + i / kQuantBlock};
    }
};

// Room for up to 256 inputs.
struct PanelChunk {
    alignas(64) uint8_t quads[64][64];
    alignas(64) float scales[16][kPanelOutputs];
    alignas(64) float minima[8][kPanelOutputs];

    PanelSpace space() { return {quads, scales, minima}; }
};

// The block that is being read: one pointer for each row.
using RowBlocks = const uint8_t* const[kPanelOutputs];

// Up to 16 consecutive rows of W. Beyond the last, it is repeated.
struct RowGroup {
    const uint8_t* rows[kPanelOutputs];

    RowGroup(const void* weights, size_t row_bytes, int64_t first, int64_t n) {
        for (int i = 0; i < kPanelOutputs; ++i) {
            const int64_t row = first + (i < n ? i : n - 1);
            rows[i] = static_cast<const uint8_t*>(weights) + static_cast<size_t>(row) * row_bytes;
        }
    }
    void advance(int64_t n_bytes) {
        for (const uint8_t*& row : rows) row += n_bytes;
    }
};

template <typename T>
static inline T load_as(const uint8_t* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

static inline __m512i load_two(const uint8_t* low, const uint8_t* high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(load_as<__m256i>(low)), load_as<__m256i>(high),
                              1);
}

// 32 bytes of every row -> 8 vectors: vector i holds bytes 4 i to 4 i + 3 of the rows in order.
static inline void transpose_32(RowBlocks rows, int64_t offset, __m512i* out) {
    __m512i r[8], t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) r[i] = load_two(rows[i] + offset, rows[i + 8] + offset);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        t[2 * i] = _mm512_unpacklo_epi32(r[2 * i], r[2 * i + 1]);
        t[2 * i + 1] = _mm512_unpackhi_epi32(r[2 * i], r[2 * i + 1]);
    }
    const __m512i first = _mm512_set_epi64(13, 12, 5, 4, 9, 8, 1, 0);
    const __m512i second = _mm512_set_epi64(15, 14, 7, 6, 11, 10, 3, 2);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const __m512i a = t[i / 2], b = t[2 + i / 2], c = t[4 + i / 2], d = t[6 + i / 2];
        const __m512i low = i % 2 == 0 ? _mm512_unpacklo_epi64(a, b) : _mm512_unpackhi_epi64(a, b);
        const __m512i high = i % 2 == 0 ? _mm512_unpacklo_epi64(c, d) : _mm512_unpackhi_epi64(c, d);
        out[i] = _mm512_permutex2var_epi64(low, first, high);
        out[i + 4] = _mm512_permutex2var_epi64(low, second, high);
    }
}

// 16 bytes of every row -> 4 such vectors.
static inline void transpose_16(RowBlocks rows, int64_t offset, __m512i* out) {
    __m512i r[4], t[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        r[i] = _mm512_castsi128_si512(load_as<__m128i>(rows[i] + offset));
        r[i] = _mm512_inserti32x4(r[i], load_as<__m128i>(rows[i + 4] + offset), 1);
        r[i] = _mm512_inserti32x4(r[i], load_as<__m128i>(rows[i + 8] + offset), 2);
        r[i] = _mm512_inserti32x4(r[i], load_as<__m128i>(rows[i + 12] + offset), 3);
    }
    t[0] = _mm512_unpacklo_epi32(r[0], r[1]);
    t[1] = _mm512_unpackhi_epi32(r[0], r[1]);
    t[2] = _mm512_unpacklo_epi32(r[2], r[3]);
    t[3] = _mm512_unpackhi_epi32(r[2], r[3]);
    out[0] = _mm512_unpacklo_epi64(t[0], t[2]);
    out[1] = _mm512_unpackhi_epi64(t[0], t[2]);
    out[2] = _mm512_unpacklo_epi64(t[1], t[3]);
    out[3] = _mm512_unpackhi_epi64(t[1], t[3]);
}

// The half-precision number at `offset` of every row.
static inline __m512 halves(RowBlocks rows, int64_t offset) {
    const auto at = [&](int i) { return load_as<int16_t>(rows[i] + offset); };
    return _mm512_cvtph_ps(_mm256_set_epi16(at(15), at(14), at(13), at(12), at(11), at(10), at(9),
                                            at(8), at(7), at(6), at(5), at(4), at(3), at(2), at(1),
                                            at(0)));
}

static inline __m512i low_nibbles(__m512i x) {
    return _mm512_and_si512(x, _mm512_set1_epi8(0x0f));
}
static inline __m512i high_nibbles(__m512i x) {
    return low_nibbles(_mm512_srli_epi16(x, 4));
}

// Stores the quads that share scale `i_scale`.
template <int kQuads>
static inline void put(const PanelSpace& out, int64_t i_scale, const __m512i* quads, __m512 scale) {
#pragma GCC unroll 8
    for (int q = 0; q < kQuads; ++q) {
        _mm512_storeu_si512(out.quads[i_scale * kQuads + q], quads[q]);
    }
    _mm512_storeu_ps(out.scales[i_scale], scale);
}

struct Q8_0 : PanelTraits<8, 128, false> {
    static constexpr int64_t kInputs = 32, kBytes = 34;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        __m512i quads[8];
        transpose_32(rows, 2, quads);
#pragma GCC unroll 8
        for (int q = 0; q < 8; ++q) quads[q] = _mm512_xor_si512(quads[q], _mm512_set1_epi8(-128));
        put<8>(out, 0, quads, halves(rows, 0));
    }
};

// Four or five bits, centred by an offset or shifted by a minimum.
template <bool kFifthBit, bool kHasMinima>
struct Nibbles : PanelTraits<8,
                             kHasMinima  ? 0
                             : kFifthBit ? 16
                                         : 8,
                             kHasMinima> {
    static constexpr int64_t kHigh = kHasMinima ? 4 : 2;  // where the fifth bits lie
    static constexpr int64_t kLow = kHigh + (kFifthBit ? 4 : 0);
    static constexpr int64_t kInputs = 32, kBytes = kLow + 16;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        __m512i both[4], quads[8];
        transpose_16(rows, kLow, both);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
            quads[q] = low_nibbles(both[q]);
            quads[q + 4] = high_nibbles(both[q]);
        }
        if (kFifthBit) add_fifth_bits(rows, quads);
        put<8>(out, 0, quads, halves(rows, 0));
        if (kHasMinima) _mm512_storeu_ps(out.minima[0], halves(rows, 2));
    }

private:
    // Bit i of a row's word belongs to input i.
    static inline void add_fifth_bits(RowBlocks rows, __m512i* quads) {
        const auto at = [&](int i) { return load_as<int32_t>(rows[i] + kHigh); };
        __m512i bits =
            _mm512_set_epi32(at(15), at(14), at(13), at(12), at(11), at(10), at(9), at(8), at(7),
                             at(6), at(5), at(4), at(3), at(2), at(1), at(0));
        // Four bits times this constant: one in the lowest bit of every byte.
        const __m512i spread = _mm512_set1_epi32(0x00204081);
#pragma GCC unroll 8
        for (int q = 0; q < 8; ++q) {
            const __m512i four = _mm512_and_si512(bits, _mm512_set1_epi32(0x0f));
            const __m512i ones =
                _mm512_and_si512(_mm512_mullo_epi32(four, spread), _mm512_set1_epi8(1));
            quads[q] = _mm512_or_si512(quads[q], _mm512_slli_epi32(ones, 4));
            bits = _mm512_srli_epi32(bits, 4);
        }
    }
};
using Q4_0 = Nibbles<false, false>;
using Q4_1 = Nibbles<false, true>;
using Q5_0 = Nibbles<true, false>;
using Q5_1 = Nibbles<true, true>;

// Half-precision numbers in the low 16 bits of every lane.
static inline __m512 low_halves(__m512i x) {
    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(x));
}
// Byte i of every lane.
static inline __m512 unsigned_bytes(__m512i x, int i) {
    const __m512i shifted = _mm512_srl_epi32(x, _mm_cvtsi32_si128(8 * i));
    return _mm512_cvtepi32_ps(_mm512_and_si512(shifted, _mm512_set1_epi32(0xff)));
}
static inline __m512 signed_bytes(__m512i x, int i) {
    const __m512i shifted = _mm512_sll_epi32(x, _mm_cvtsi32_si128(24 - 8 * i));
    return _mm512_cvtepi32_ps(_mm512_srai_epi32(shifted, 24));
}

// Every row's 6-bit numbers of a K block, a byte each: blocks 0 to 3, then 4 to 7.
struct SixBits {
    __m512i scales[2], minima[2];

    // From the three words they are packed in.
    SixBits(__m512i low, __m512i middle, __m512i high) {
        const __m512i six = _mm512_set1_epi32(0x3f3f3f3f), four = _mm512_set1_epi32(0x0f0f0f0f),
                      top = _mm512_set1_epi32(0x30303030);
        const auto joined = [&](__m512i nibbles, __m512i with_top) {
            return _mm512_or_si512(_mm512_and_si512(nibbles, four),
                                   _mm512_and_si512(_mm512_srli_epi32(with_top, 2), top));
        };
        scales[0] = _mm512_and_si512(low, six);
        minima[0] = _mm512_and_si512(middle, six);
        scales[1] = joined(high, low);
        minima[1] = joined(_mm512_srli_epi32(high, 4), middle);
    }
};

template <bool kFifthBit>
struct NibblesK : PanelTraits<8, 0, true> {
    static constexpr int64_t kHigh = 16, kLow = kHigh + (kFifthBit ? 32 : 0);
    static constexpr int64_t kInputs = 256, kBytes = kLow + 128;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        __m512i head[4];  // scale and minimum of the whole block; the packed ones of its parts
        transpose_16(rows, 0, head);
        const SixBits parts(head[1], head[2], head[3]);
        const __m512 scale = low_halves(head[0]);
        const __m512 minimum =
            _mm512_sub_ps(_mm512_setzero_ps(), low_halves(_mm512_srli_epi32(head[0], 16)));
        __m512i bits[8];
        if (kFifthBit) transpose_32(rows, kHigh, bits);
        for (int j = 0; j < 4; ++j) {
            __m512i both[8], low[8], high[8];
            transpose_32(rows, kLow + 32 * j, both);
#pragma GCC unroll 8
            for (int q = 0; q < 8; ++q) {
                low[q] = low_nibbles(both[q]);
                high[q] = high_nibbles(both[q]);
                if (kFifthBit) {
                    // The lowest two bits left belong to these two blocks.
                    low[q] = _mm512_or_si512(low[q], fifth(_mm512_slli_epi16(bits[q], 4)));
                    high[q] = _mm512_or_si512(high[q], fifth(_mm512_slli_epi16(bits[q], 3)));
                    bits[q] = _mm512_srli_epi16(bits[q], 2);
                }
            }
            const int i = 2 * j;
            const __m512i scales = parts.scales[i / 4], minima = parts.minima[i / 4];
            put<8>(out, i, low, _mm512_mul_ps(scale, unsigned_bytes(scales, i % 4)));
            put<8>(out, i + 1, high, _mm512_mul_ps(scale, unsigned_bytes(scales, i % 4 + 1)));
            _mm512_storeu_ps(out.minima[i], _mm512_mul_ps(minimum, unsigned_bytes(minima, i % 4)));
            _mm512_storeu_ps(out.minima[i + 1],
                             _mm512_mul_ps(minimum, unsigned_bytes(minima, i % 4 + 1)));
        }
    }

private:
    static inline __m512i fifth(__m512i x) { return _mm512_and_si512(x, _mm512_set1_epi8(0x10)); }
};
using Q4_K = NibblesK<false>;
using Q5_K = NibblesK<true>;

struct Q6_K : PanelTraits<4, 32, false> {
    static constexpr int64_t kInputs = 256, kBytes = 210;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        __m512i scales[4];
        transpose_16(rows, 192, scales);
        const __m512 scale = halves(rows, 208);
        // Each half of 128 inputs: 64 bytes of low nibbles, 32 bytes of high pairs of bits.
        for (int half = 0; half < 2; ++half) {
            __m512i nibbles[2][8], high[8];
            transpose_32(rows, 64 * half, nibbles[0]);
            transpose_32(rows, 64 * half + 32, nibbles[1]);
            transpose_32(rows, 128 + 32 * half, high);
            for (int j = 0; j < 4; ++j) {
                __m512i quads[8];
#pragma GCC unroll 8
                for (int q = 0; q < 8; ++q) {
                    const __m512i both = nibbles[j % 2][q];
                    const __m512i low = j < 2 ? low_nibbles(both) : high_nibbles(both);
                    const __m512i pair =
                        _mm512_and_si512(_mm512_slli_epi16(high[q], 4), _mm512_set1_epi8(0x30));
                    high[q] = _mm512_srli_epi16(high[q], 2);
                    quads[q] = _mm512_or_si512(low, pair);
                }
                for (int part = 0; part < 2; ++part) {
                    const int i = 8 * half + 2 * j + part;
                    put<4>(out, i, quads + 4 * part,
                           _mm512_mul_ps(scale, signed_bytes(scales[i / 4], i % 4)));
                }
            }
        }
    }
};

// Unpacks the next `n_inputs` inputs of a group of rows and moves it on.
template <typename Format>
static inline void unpack(RowGroup& group, int64_t n_inputs, const PanelSpace& out) {
    for (int64_t i = 0; i < n_inputs; i += Format::kInputs) {
        Format::unpack(group.rows, out.from<Format>(i));
        group.advance(Format::kBytes);
    }
}

}  // namespace
}  // namespace crispvl::kernels
