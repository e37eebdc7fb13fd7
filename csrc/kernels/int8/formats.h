// Unpacks 16 rows of weights from their GGUF blocks into a panel. A format tells its block's inputs
// and bytes and how it is laid out in a panel; `unpack` reads one block of each row.
//
// Layouts: ggml-common.h of ggml.
#pragma once

#include <cstring>

#include "kernels/int8/panel.h"
#include "kernels/simd/transpose.h"

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

// `n` rows of W from `first` on. Beyond the last, it is repeated.
struct RowRange {
    const void* weights;
    size_t row_bytes;
    int64_t first, n;

    const uint8_t* row(int64_t i) const {
        const int64_t row = first + (i < n ? i : n - 1);
        return static_cast<const uint8_t*>(weights) + static_cast<size_t>(row) * row_bytes;
    }
};

// The first 16 rows of a range.
struct RowGroup {
    const uint8_t* rows[kPanelOutputs];

    explicit RowGroup(const RowRange& range) {
        for (int i = 0; i < kPanelOutputs; ++i) rows[i] = range.row(i);
    }
    void advance(int64_t n_bytes) {
        for (const uint8_t*& row : rows) row += n_bytes;
    }
};

template <typename T>
inline T load_as(const uint8_t* p) {
    T value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

// 32 bytes of every row -> 8 vectors: vector i holds bytes 4 i to 4 i + 3 of the rows in order.
inline void transpose_32(RowBlocks rows, int64_t offset, Bits* out) {
    transpose_eight_words([&](int i) { return rows[i] + offset; }, out);
}

// 16 bytes of every row -> 4 such vectors.
inline void transpose_16(RowBlocks rows, int64_t offset, Bits* out) {
    Bits r[4], t[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        r[i] = load_quarters([&](int quarter) { return rows[i + 4 * quarter] + offset; });
    }
    t[0] = first_words(r[0], r[1]);
    t[1] = last_words(r[0], r[1]);
    t[2] = first_words(r[2], r[3]);
    t[3] = last_words(r[2], r[3]);
    out[0] = first_pairs(t[0], t[2]);
    out[1] = last_pairs(t[0], t[2]);
    out[2] = first_pairs(t[1], t[3]);
    out[3] = last_pairs(t[1], t[3]);
}

// The half-precision number at `offset` of every row.
inline Floats halves(RowBlocks rows, int64_t offset) {
    const auto at = [&](int i) { return load_as<int16_t>(rows[i] + offset); };
    return widen_f16(halves_of(at));
}

inline Bits low_nibbles(Bits x) {
    return x & splat_byte(0x0f);
}
inline Bits high_nibbles(Bits x) {
    return low_nibbles(right(x, 4));
}

// Stores the quads that share scale `i_scale`.
template <int kQuads>
inline void put(const PanelSpace& out, int64_t i_scale, const Bits* quads, Floats scale) {
#pragma GCC unroll 8
    for (int q = 0; q < kQuads; ++q) {
        store_bits(out.quads[i_scale * kQuads + q], quads[q]);
    }
    store(out.scales[i_scale], scale);
}

struct Q8_0 : PanelTraits<8, 8, false> {
    static constexpr int64_t kInputs = 32, kBytes = 34;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        Bits quads[8];
        transpose_32(rows, 2, quads);
#pragma GCC unroll 8
        for (int q = 0; q < 8; ++q) quads[q] = quads[q] ^ splat_byte(-128);
        put<8>(out, 0, quads, halves(rows, 0));
    }
};

// Four or five bits, centred by an offset or shifted by a minimum.
template <bool kFifthBit, bool kHasMinima>
struct Nibbles : PanelTraits<8, kFifthBit ? 5 : 4, kHasMinima> {
    static constexpr int64_t kHigh = kHasMinima ? 4 : 2;  // where the fifth bits are
    static constexpr int64_t kLow = kHigh + (kFifthBit ? 4 : 0);
    static constexpr int64_t kInputs = 32, kBytes = kLow + 16;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        Bits both[4], quads[8];
        transpose_16(rows, kLow, both);
#pragma GCC unroll 4
        for (int q = 0; q < 4; ++q) {
            quads[q] = low_nibbles(both[q]);
            quads[q + 4] = high_nibbles(both[q]);
        }
        if (kFifthBit) add_fifth_bits(rows, quads);
        put<8>(out, 0, quads, halves(rows, 0));
        if (kHasMinima) store(out.minima[0], halves(rows, 2));
    }

private:
    // Bit i of a row's word belongs to input i.
    static inline void add_fifth_bits(RowBlocks rows, Bits* quads) {
        const auto at = [&](int i) { return load_as<int32_t>(rows[i] + kHigh); };
        Bits bits = words(at);
        // Four bits times this constant: one in the lowest bit of every byte.
        const Bits spread = splat_word(0x00204081);
#pragma GCC unroll 8
        for (int q = 0; q < 8; ++q) {
            const Bits four = bits & splat_word(0x0f);
            const Bits ones = multiply_words(four, spread) & splat_byte(1);
            quads[q] = quads[q] | left(ones, 4);
            bits = right(bits, 4);
        }
    }
};
using Q4_0 = Nibbles<false, false>;
using Q4_1 = Nibbles<false, true>;
using Q5_0 = Nibbles<true, false>;
using Q5_1 = Nibbles<true, true>;

// Byte i of every lane.
inline Floats unsigned_bytes(Bits x, int i) {
    return to_floats(right(x, 8 * i) & splat_word(0xff));
}
inline Floats signed_bytes(Bits x, int i) {
    return to_floats(right_signed(left(x, 24 - 8 * i), 24));
}

// Every row's 6-bit numbers of a K block, a byte each: blocks 0 to 3, then 4 to 7.
struct SixBits {
    Bits scales[2], minima[2];

    // From the three words they are packed in.
    SixBits(Bits low, Bits middle, Bits high) {
        const Bits six = splat_word(0x3f3f3f3f), four = splat_word(0x0f0f0f0f),
                   top = splat_word(0x30303030);
        const auto joined = [&](Bits nibbles, Bits with_top) {
            return (nibbles & four) | (right(with_top, 2) & top);
        };
        scales[0] = low & six;
        minima[0] = middle & six;
        scales[1] = joined(high, low);
        minima[1] = joined(right(high, 4), middle);
    }
};

template <bool kFifthBit>
struct NibblesK : PanelTraits<8, kFifthBit ? 5 : 4, true> {
    static constexpr int64_t kHigh = 16, kLow = kHigh + (kFifthBit ? 32 : 0);
    static constexpr int64_t kInputs = 256, kBytes = kLow + 128;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        Bits head[4];  // scale and minimum of the whole block; the packed ones of its parts
        transpose_16(rows, 0, head);
        const SixBits parts(head[1], head[2], head[3]);
        const Floats scale = low_halves(head[0]);
        const Floats minimum = sub(splat(0.0f), low_halves(right(head[0], 16)));
        Bits bits[8];
        if (kFifthBit) transpose_32(rows, kHigh, bits);
        for (int j = 0; j < 4; ++j) {
            Bits both[8], low[8], high[8];
            transpose_32(rows, kLow + 32 * j, both);
#pragma GCC unroll 8
            for (int q = 0; q < 8; ++q) {
                low[q] = low_nibbles(both[q]);
                high[q] = high_nibbles(both[q]);
                if (kFifthBit) {
                    // The lowest two bits left belong to these two blocks.
                    low[q] = low[q] | fifth(left(bits[q], 4));
                    high[q] = high[q] | fifth(left(bits[q], 3));
                    bits[q] = right(bits[q], 2);
                }
            }
            const int i = 2 * j;
            const Bits scales = parts.scales[i / 4], minima = parts.minima[i / 4];
            put<8>(out, i, low, mul(scale, unsigned_bytes(scales, i % 4)));
            put<8>(out, i + 1, high, mul(scale, unsigned_bytes(scales, i % 4 + 1)));
            store(out.minima[i], mul(minimum, unsigned_bytes(minima, i % 4)));
            store(out.minima[i + 1], mul(minimum, unsigned_bytes(minima, i % 4 + 1)));
        }
    }

private:
    static inline Bits fifth(Bits x) { return x & splat_byte(0x10); }
};
using Q4_K = NibblesK<false>;
using Q5_K = NibblesK<true>;

struct Q6_K : PanelTraits<4, 6, false> {
    static constexpr int64_t kInputs = 256, kBytes = 210;
    static inline void unpack(RowBlocks rows, const PanelSpace& out) {
        Bits scales[4];
        transpose_16(rows, 192, scales);
        const Floats scale = halves(rows, 208);
        // Each half of 128 inputs: 64 bytes of low nibbles, 32 bytes of high pairs of bits.
        for (int half = 0; half < 2; ++half) {
            Bits nibbles[2][8], high[8];
            transpose_32(rows, 64 * half, nibbles[0]);
            transpose_32(rows, 64 * half + 32, nibbles[1]);
            transpose_32(rows, 128 + 32 * half, high);
            for (int j = 0; j < 4; ++j) {
                Bits quads[8];
#pragma GCC unroll 8
                for (int q = 0; q < 8; ++q) {
                    const Bits both = nibbles[j % 2][q];
                    const Bits low = j < 2 ? low_nibbles(both) : high_nibbles(both);
                    const Bits pair = left(high[q], 4) & splat_byte(0x30);
                    high[q] = right(high[q], 2);
                    quads[q] = low | pair;
                }
                for (int part = 0; part < 2; ++part) {
                    const int i = 8 * half + 2 * j + part;
                    put<4>(out, i, quads + 4 * part,
                           mul(scale, signed_bytes(scales[i / 4], i % 4)));
                }
            }
        }
    }
};

// Unpacks the next `n_inputs` inputs of a group of rows and moves it on.
template <typename Format>
inline void unpack(RowGroup& group, int64_t n_inputs, const PanelSpace& out) {
    for (int64_t i = 0; i < n_inputs; i += Format::kInputs) {
        Format::unpack(group.rows, out.from<Format>(i));
        group.advance(Format::kBytes);
    }
}

// Calls f(Format{}) for a type that is unpacked; for others it does nothing.
template <typename F>
inline void with_format(RowType type, const F& f) {
    switch (type) {
        case RowType::q4_0:
            return f(Q4_0{});
        case RowType::q4_1:
            return f(Q4_1{});
        case RowType::q5_0:
            return f(Q5_0{});
        case RowType::q5_1:
            return f(Q5_1{});
        case RowType::q8_0:
            return f(Q8_0{});
        case RowType::q4_k:
            return f(Q4_K{});
        case RowType::q5_k:
            return f(Q5_K{});
        case RowType::q6_k:
            return f(Q6_K{});
        case RowType::panels:
        case RowType::f16:
        case RowType::bf16:
        case RowType::f32:
            return;
    }
}

}  // namespace
}  // namespace crispvl::kernels
