// softmax(Q K^T / sqrt(d)) V for tiles: no mask, exact softmax over all keys. A group of queries
// keeps its scores in L2, keys and values of a head are packed once for all queries.
#include <cmath>

#include "kernels/avx512_bf16_block.h"
#include "kernels/avx512_math.h"

namespace crispvl::kernels {
namespace {

constexpr int64_t kGroupRows = 4 * kRows;  // queries whose scores are kept at once

// One thread's scratch, laid out for `n_tokens` keys of `d_head`.
struct Scratch {
    uint16_t* keys;    // panels of 64 keys: [panel][d_head / 2][64][2]
    uint16_t* values;  // panels of 64 dimensions: [panel][n_keys / 2][64][2]
    float* scores;     // [kGroupRows, n_keys]
    uint16_t* weights;  // BF16 [kGroupRows, n_keys], zero past the last key
    float* norms;      // [kGroupRows]
    int64_t n_keys;    // padded to whole panels

    static size_t bytes(int64_t n_tokens, int64_t d_head) {
        const int64_t n_keys = panel_count(n_tokens) * kPanelWidth;
        return static_cast<size_t>(n_keys * d_head * 2 * 2 + kGroupRows * n_keys * (4 + 2) +
                                   kGroupRows * 4);
    }
    Scratch(void* memory, int64_t n_tokens, int64_t d_head)
        : n_keys(panel_count(n_tokens) * kPanelWidth) {
        keys = static_cast<uint16_t*>(memory);
        values = keys + n_keys * d_head;
        scores = reinterpret_cast<float*>(values + n_keys * d_head);
        weights = reinterpret_cast<uint16_t*>(scores + kGroupRows * n_keys);
        norms = reinterpret_cast<float*>(weights + kGroupRows * n_keys);
    }
};

void pack_keys(const uint16_t* k, int64_t stride, int64_t n_tokens, int64_t d_head,
               const Scratch& s) {
    const int64_t n_pairs = d_head / 2;
    for (int64_t key = 0; key < s.n_keys; ++key) {
        uint32_t* out = reinterpret_cast<uint32_t*>(s.keys) +
                        key / kPanelWidth * n_pairs * kPanelWidth + key % kPanelWidth;
        const uint32_t* in = reinterpret_cast<const uint32_t*>(k + key * stride);
        for (int64_t i = 0; i < n_pairs; ++i) out[i * kPanelWidth] = key < n_tokens ? in[i] : 0;
    }
}

void pack_values(const uint16_t* v, int64_t stride, int64_t n_tokens, int64_t d_head,
                 const Scratch& s) {
    // Lanes 2i and 2i + 1 take element i of the first and of the second row.
    alignas(64) uint16_t lanes[2][32];
    for (uint16_t i = 0; i < 16; ++i) {
        for (uint16_t half = 0; half < 2; ++half) {
            lanes[half][2 * i] = static_cast<uint16_t>(i + 16 * half);
            lanes[half][2 * i + 1] = static_cast<uint16_t>(i + 16 * half + 32);
        }
    }
    const __m512i low = _mm512_load_si512(lanes[0]), high = _mm512_load_si512(lanes[1]);
    const int64_t n_pairs = s.n_keys / 2;
    for (int64_t i = 0; i < n_pairs; ++i) {
        for (int64_t d = 0; d < d_head; d += 32) {
            const uint16_t* row = v + 2 * i * stride + d;
            const __m512i a =
                2 * i < n_tokens ? _mm512_loadu_si512(row) : _mm512_setzero_si512();
            const __m512i b =
                2 * i + 1 < n_tokens ? _mm512_loadu_si512(row + stride) : _mm512_setzero_si512();
            uint16_t* out = s.values + (d / kPanelWidth * n_pairs + i) * kPanelWidth * 2 +
                            d % kPanelWidth * 2;
            _mm512_storeu_si512(out, _mm512_permutex2var_epi16(a, low, b));
            _mm512_storeu_si512(out + 32, _mm512_permutex2var_epi16(a, high, b));
        }
    }
}

template <int kN>
void score_block(const uint16_t* q, int64_t stride, int64_t n_pairs, int64_t i_panel,
                 const Scratch& s, int64_t row) {
    Sums sums;
    clear(sums);
    multiply<kN>(q + row * stride, stride, s.keys + i_panel * n_pairs * kPanelWidth * 2, n_pairs,
                 sums);
    for (int r = 0; r < kN; ++r) {
        for (int v = 0; v < kVectors; ++v) {
            _mm512_storeu_ps(s.scores + (row + r) * s.n_keys + i_panel * kPanelWidth + v * 16,
                             sums[r][v]);
        }
    }
}

// Scores of one query -> BF16 weights that sum to `norms[row]`; base-2 exponentials.
void soften(const Scratch& s, int64_t row, int64_t n_tokens, float scale) {
    const float* scores = s.scores + row * s.n_keys;
    uint16_t* weights = s.weights + row * s.n_keys;
    __m512 largest = _mm512_set1_ps(-INFINITY);
    for (int64_t i = 0; i < n_tokens; i += 16) {
        const __mmask16 mask = tail_mask(n_tokens - i);
        largest = _mm512_mask_max_ps(largest, mask, largest, _mm512_loadu_ps(scores + i));
    }
    const __m512 factor = _mm512_set1_ps(scale);
    const __m512 shift = _mm512_set1_ps(-scale * _mm512_reduce_max_ps(largest));
    __m512 sum = _mm512_setzero_ps();
    for (int64_t i = 0; i < s.n_keys; i += 16) {
        const __mmask16 mask = tail_mask(n_tokens - i);
        const __m512 x = _mm512_fmadd_ps(_mm512_loadu_ps(scores + i), factor, shift);
        const __m512 e = _mm512_maskz_mov_ps(mask, exp2_ps(x));
        sum = _mm512_add_ps(sum, e);
        store_bf16(weights + i, static_cast<__mmask16>(0xffff), e);
    }
    s.norms[row] = _mm512_reduce_add_ps(sum);
}

template <int kN>
void value_block(const Scratch& s, int64_t row, int64_t i_panel, uint16_t* y, int64_t stride) {
    Sums sums;
    clear(sums);
    const int64_t n_pairs = s.n_keys / 2;
    multiply<kN>(s.weights + row * s.n_keys, s.n_keys,
                 s.values + i_panel * n_pairs * kPanelWidth * 2, n_pairs, sums);
    for (int r = 0; r < kN; ++r) {
        const __m512 norm = _mm512_set1_ps(1.0f / s.norms[row + r]);
        for (int v = 0; v < kVectors; ++v) {
            store_bf16(y + (row + r) * stride + i_panel * kPanelWidth + v * 16,
                       static_cast<__mmask16>(0xffff), _mm512_mul_ps(sums[r][v], norm));
        }
    }
}

void attend_head(const AttentionJob& job, const uint16_t* q, uint16_t* y, const Scratch& s,
                 int64_t first, int64_t last) {
    const int64_t width = job.n_heads * job.d_head, stride = 3 * width;
    const int64_t n_pairs = job.d_head / 2;
    // 1 / sqrt(d) and the change from base e to base 2.
    const float scale = 1.44269504089f / std::sqrt(static_cast<float>(job.d_head));
    for (int64_t i = first; i < last; i += kGroupRows) {
        const int64_t n = last - i < kGroupRows ? last - i : kGroupRows;
        const uint16_t* group = q + i * stride;
        for (int64_t p = 0; p < s.n_keys / kPanelWidth; ++p) {
            for_row_blocks(n, [&](auto rows, int64_t row) {
                score_block<decltype(rows)::value>(group, stride, n_pairs, p, s, row);
            });
        }
        for (int64_t r = 0; r < n; ++r) soften(s, r, job.n_tokens, scale);
        for (int64_t p = 0; p < job.d_head / kPanelWidth; ++p) {
            for_row_blocks(n, [&](auto rows, int64_t row) {
                value_block<decltype(rows)::value>(s, row, p, y + i * width, width);
            });
        }
    }
}

}  // namespace

size_t attention_scratch_bytes(const AttentionJob& job) {
    return Scratch::bytes(job.n_tokens, job.d_head);
}

void attention_bf16(const AttentionJob& job, void* memory, int ith, int nth) {
    const int64_t width = job.n_heads * job.d_head, stride = 3 * width;
    const Scratch s(memory, job.n_tokens, job.d_head);
    // Heads are the unit of work; with more threads than heads, each head's queries are split.
    const int64_t n_heads = job.n_tiles * job.n_heads;
    const int64_t n_splits = (nth + n_heads - 1) / n_heads;
    const int64_t n_items = n_heads * n_splits;
    const int64_t begin = n_items * ith / nth, end = n_items * (ith + 1) / nth;
    int64_t packed = -1;
    for (int64_t item = begin; item < end; ++item) {
        const int64_t i_head = item / n_splits, i_split = item % n_splits;
        const int64_t i_tile = i_head / job.n_heads, column = i_head % job.n_heads * job.d_head;
        const uint16_t* q = job.qkv + i_tile * job.n_tokens * stride + column;
        if (packed != i_head) {
            pack_keys(q + width, stride, job.n_tokens, job.d_head, s);
            pack_values(q + 2 * width, stride, job.n_tokens, job.d_head, s);
            packed = i_head;
        }
        uint16_t* y = job.y + i_tile * job.n_tokens * width + column;
        attend_head(job, q, y, s, job.n_tokens * i_split / n_splits,
                    job.n_tokens * (i_split + 1) / n_splits);
    }
}

}  // namespace crispvl::kernels
