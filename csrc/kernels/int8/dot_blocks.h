// Quantised rows of W, each by itself, times one or two rows of x (AVX2 without VNNI): where so few
// rows share it, laying out a panel would take longer than the products.
//
// 32 weights at a time become a register of bytes in the order of their inputs, unsigned but for 8
// bits. Layouts: ggml-common.h of ggml.
#pragma once

#include <type_traits>

#include "kernels/int8/dot_plain.h"
#include "kernels/int8/formats.h"

namespace crispvl::kernels {
namespace {

constexpr int64_t kRowAhead = 4096;  // bytes that a single row is fetched ahead, by measurement

inline __m256i load_32(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
inline float half_at(const uint8_t* p) {
    return _mm_cvtss_f32(_mm_cvtph_ps(_mm_cvtsi32_si128(load_as<uint16_t>(p))));
}
inline __m256i low_nibbles_of(__m256i x) {
    return _mm256_and_si256(x, _mm256_set1_epi8(0x0f));
}
inline __m256i high_nibbles_of(__m256i x) {
    return low_nibbles_of(_mm256_srli_epi16(x, 4));
}
// Sixteen bytes: their low nibbles, then the high ones.
inline __m256i both_nibbles(const uint8_t* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return low_nibbles_of(_mm256_set_m128i(_mm_srli_epi16(bytes, 4), bytes));
}
// 0x10 where bit i of the word at `p` is set, for byte i.
inline __m256i fifth_bits(const uint8_t* p) {
    const __m256i bytes = _mm256_shuffle_epi8(
        _mm256_set1_epi32(load_as<int32_t>(p)),
        _mm256_set_epi64x(0x0303030303030303, 0x0202020202020202, 0x0101010101010101, 0));
    const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201));
    const __m256i is_set = _mm256_cmpeq_epi8(_mm256_and_si256(bytes, bit), bit);
    return _mm256_and_si256(is_set, _mm256_set1_epi8(0x10));
}

template <bool kFifthBit, bool kHasMinima>
inline __m256i weights_in(Nibbles<kFifthBit, kHasMinima>, const uint8_t* block) {
    using Format = Nibbles<kFifthBit, kHasMinima>;
    const __m256i low = both_nibbles(block + Format::kLow);
    return kFifthBit ? _mm256_or_si256(low, fifth_bits(block + Format::kHigh)) : low;
}

// Rows of x.
template <int n>
struct Tokens {
    const QuantisedBlock* rows[n];

    Tokens(const RowsJob& job, int64_t first) {
        for (int t = 0; t < n; ++t) rows[t] = quantised_row(job.x, job.n_in, first + t);
    }
};

// 32 products of weights with values, in eight sums.
template <typename Traits>
inline __m256 products(HalfWeights w, const QuantisedBlock& x) {
    const __m256i none = _mm256_setzero_si256();
    const __m256i values = load_32(reinterpret_cast<const uint8_t*>(x.values));
    return _mm256_cvtepi32_ps(half_closed(none, half_dot<Traits::kBits>(none, w, values)));
}

// By how much unsigned weights are too large.
template <typename Traits>
constexpr float kHalfRange = static_cast<float>(1 << (Traits::kBits - 1));

// ---- one scale for 32 weights, no minima --------------------------------------------------------

inline HalfWeights weights_of(Q8_0, const uint8_t* block) {
    return signed_weights(load_32(block + 2));
}
template <bool kFifthBit>
inline HalfWeights weights_of(Nibbles<kFifthBit, false> format, const uint8_t* block) {
    return half_weights<format.kBits>(weights_in(format, block));
}

// The sums of up to four rows of W, whose scales are computed together, times n tokens.
template <typename Format, int n_rows, int n>
class ScaledSums {
public:
    // Adds the rows' blocks that meet block `i` of every token.
    inline void add(const uint8_t* const (&blocks)[n_rows], const Tokens<n>& x, int64_t i) {
        const __m128 scales = scales_of(blocks);
        alignas(16) float of_rows[n][4];
#pragma GCC unroll 2
        for (int t = 0; t < n; ++t) {
            const QuantisedBlock& of_x = x.rows[t][i];
            _mm_store_ps(of_rows[t], _mm_mul_ps(scales, _mm_set1_ps(of_x.scale)));
            if (Format::kBits < 8) {
                apart_[t] = _mm_fmadd_ps(scales, _mm_set1_ps(of_x.sum), apart_[t]);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < n_rows; ++r) {
            const HalfWeights w = weights_of(Format{}, blocks[r]);
#pragma GCC unroll 2
            for (int t = 0; t < n; ++t) {
                lanes_[r][t] = _mm256_fmadd_ps(products<Format>(w, x.rows[t][i]),
                                               _mm256_set1_ps(of_rows[t][r]), lanes_[r][t]);
            }
        }
    }
    inline float total(int r, int t) const {
        const float sum = sum_of({lanes_[r][t], _mm256_setzero_ps()});
        if (Format::kBits == 8) return sum;
        alignas(16) float of_rows[4];
        _mm_store_ps(of_rows, apart_[t]);
        return sum - kHalfRange<Format> * of_rows[r];
    }

private:
    static inline __m128 scales_of(const uint8_t* const (&blocks)[n_rows]) {
        uint64_t halves = 0;
#pragma GCC unroll 4
        for (int r = 0; r < n_rows; ++r) {
            halves |= uint64_t{load_as<uint16_t>(blocks[r])} << 16 * r;
        }
        return _mm_cvtph_ps(_mm_cvtsi64_si128(static_cast<int64_t>(halves)));
    }

    __m256 lanes_[n_rows][n] = {};
    __m128 apart_[n] = {};  // of the rows: scales times sums of x
};

template <typename Format>
struct ScaledRows {
    static constexpr int kStreams = 4;

    // sums[r][t] = a row of W times token `first` + t.
    template <int n_rows, int n>
    static void dot(const RowsJob& job, const uint8_t* const (&rows)[n_rows], int64_t first,
                    float (&sums)[n_rows][n]) {
        constexpr int64_t kAhead = n_rows > 1 ? kStreamAhead : kRowAhead;
        const Tokens<n> x(job, first);
        ScaledSums<Format, n_rows, n> of_rows;
        const uint8_t* blocks[n_rows];
        for (int r = 0; r < n_rows; ++r) blocks[r] = rows[r];
        for (int64_t i = 0; i < job.n_in / kQuantBlock; ++i) {
            of_rows.add(blocks, x, i);
            for (const uint8_t*& block : blocks) {
                __builtin_prefetch(block + kAhead);
                block += Format::kBytes;
            }
        }
        for (int r = 0; r < n_rows; ++r) {
            for (int t = 0; t < n; ++t) sums[r][t] = of_rows.total(r, t);
        }
    }
};

// ---- minima, or several scales in a block -------------------------------------------------------

// The sums of one row of W times n tokens, in lanes and apart.
template <typename Traits, int n>
class RowSums {
public:
    // Adds the weights that meet block `i` of every token, with the scales of its halves.
    inline void add(const Tokens<n>& tokens, int64_t i, __m256i weights, float first, float second,
                    float minimum) {
        const HalfWeights w = half_weights<Traits::kBits>(weights);
#pragma GCC unroll 2
        for (int t = 0; t < n; ++t) {
            const QuantisedBlock& x = tokens.rows[t][i];
            lanes_[t] = _mm256_fmadd_ps(products<Traits>(w, x),
                                        scales(first * x.scale, second * x.scale), lanes_[t]);
            apart_[t] += Traits::kMinima ? minimum * x.sum : offset(x, first, second);
        }
    }
    inline float total(int t) const { return apart_[t] + sum_of({lanes_[t], _mm256_setzero_ps()}); }

private:
    static inline __m256 scales(float first, float second) {
        if (Traits::kQuads == kBlockQuads) return _mm256_set1_ps(first);
        return _mm256_set_m128(_mm_set1_ps(second), _mm_set1_ps(first));
    }
    // What weights that are too large by half their range add too much, negated.
    static inline float offset(const QuantisedBlock& x, float first, float second) {
        const float sums = first * static_cast<float>(x.half_starts[0]) +
                           second * static_cast<float>(x.half_starts[1]);
        return kHalfRange<Traits> / 128.0f * x.scale * sums;  // starts are -128 times the sums
    }

    __m256 lanes_[n] = {};
    float apart_[n] = {};
};

// add_block: adds one block of W, whose first inputs meet block `i` of x.

template <bool kFifthBit, int n>
inline void add_block(Nibbles<kFifthBit, true> format, const uint8_t* block, const Tokens<n>& x,
                      int64_t i, RowSums<Nibbles<kFifthBit, true>, n>& sums) {
    const float scale = half_at(block);
    sums.add(x, i, weights_in(format, block), scale, scale, half_at(block + 2));
}

// The scales and minima of the eight parts of a K block, times the whole block's.
struct PartScales {
    alignas(32) float scales[8], minima[8];

    explicit PartScales(const uint8_t* block) {
        const uint32_t low = load_as<uint32_t>(block + 4), middle = load_as<uint32_t>(block + 8),
                       high = load_as<uint32_t>(block + 12);
        const auto joined = [](uint32_t nibbles, uint32_t with_top) {
            return (nibbles & 0x0f0f0f0f) | (with_top >> 2 & 0x30303030);
        };
        put(scales, half_at(block), low & 0x3f3f3f3f, joined(high, low));
        put(minima, -half_at(block + 2), middle & 0x3f3f3f3f, joined(high >> 4, middle));
    }

private:
    static inline void put(float* to, float of_all, uint32_t first, uint32_t last) {
        const __m128i bytes =
            _mm_set_epi32(0, 0, static_cast<int32_t>(last), static_cast<int32_t>(first));
        const __m256 parts = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
        _mm256_store_ps(to, _mm256_mul_ps(parts, _mm256_set1_ps(of_all)));
    }
};

template <bool kFifthBit, int n>
inline void add_block(NibblesK<kFifthBit>, const uint8_t* block, const Tokens<n>& x, int64_t i,
                      RowSums<NibblesK<kFifthBit>, n>& sums) {
    using Format = NibblesK<kFifthBit>;
    const PartScales of(block);
    const __m256i fifth = _mm256_set1_epi8(0x10);
    __m256i bits = kFifthBit ? load_32(block + Format::kHigh) : _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
        const __m256i both = load_32(block + Format::kLow + 32 * j);
        __m256i low = low_nibbles_of(both), high = high_nibbles_of(both);
        if (kFifthBit) {  // the lowest two bits left belong to these two parts
            low = _mm256_or_si256(low, _mm256_and_si256(_mm256_slli_epi16(bits, 4), fifth));
            high = _mm256_or_si256(high, _mm256_and_si256(_mm256_slli_epi16(bits, 3), fifth));
            bits = _mm256_srli_epi16(bits, 2);
        }
        const int first = 2 * j, second = first + 1;
        sums.add(x, i + first, low, of.scales[first], of.scales[first], of.minima[first]);
        sums.add(x, i + second, high, of.scales[second], of.scales[second], of.minima[second]);
    }
}

template <int n>
inline void add_block(Q6_K, const uint8_t* block, const Tokens<n>& x, int64_t i,
                      RowSums<Q6_K, n>& sums) {
    const float scale = half_at(block + 208);
    const int8_t* parts = reinterpret_cast<const int8_t*>(block + 192);
    const __m256i top = _mm256_set1_epi8(0x30);
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        const __m256i both[2] = {load_32(block + 64 * half), load_32(block + 64 * half + 32)};
        __m256i pairs = load_32(block + 128 + 32 * half);
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
            const __m256i low = j < 2 ? low_nibbles_of(both[j]) : high_nibbles_of(both[j - 2]);
            const __m256i high = _mm256_and_si256(_mm256_slli_epi16(pairs, 4), top);
            pairs = _mm256_srli_epi16(pairs, 2);
            const int i_block = 4 * half + j;
            sums.add(x, i + i_block, _mm256_or_si256(low, high),
                     scale * static_cast<float>(parts[2 * i_block]),
                     scale * static_cast<float>(parts[2 * i_block + 1]), 0.0f);
        }
    }
}

template <typename Format>
struct BlockRows {
    static constexpr int kStreams = 1;  // there are no registers for more

    // sums[0][t] = a row of W times token `first` + t.
    template <int n>
    static void dot(const RowsJob& job, const uint8_t* const (&rows)[1], int64_t first,
                    float (&sums)[1][n]) {
        const Tokens<n> x(job, first);
        RowSums<Format, n> of_row;
        const uint8_t* block = rows[0];
        for (int64_t i = 0; i < job.n_in; i += Format::kInputs) {
            for (int64_t b = 0; b < Format::kBytes; b += 64) {
                __builtin_prefetch(block + kRowAhead + b);
            }
            add_block(Format{}, block, x, i / kQuantBlock, of_row);
            block += Format::kBytes;
        }
        for (int t = 0; t < n; ++t) sums[0][t] = of_row.total(t);
    }
};

// How rows of a format are multiplied.
template <typename Format>
using QuantisedRows = std::conditional_t<Format::kInputs == kQuantBlock && !Format::kMinima,
                                         ScaledRows<Format>, BlockRows<Format>>;

}  // namespace
}  // namespace crispvl::kernels
