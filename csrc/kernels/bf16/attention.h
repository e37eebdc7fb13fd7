// softmax(Q K^T / sqrt(d)) V, over all tokens of a tile or over a sequence's past: the exact
// softmax over all visible keys. A group of queries keeps its scores in L2; keys and values of a
// head are packed once for all queries. Compiled once per instruction set.
//
// Keys of a cache are packed as what they differ from their panel's mean by, and a query's product
// with that mean is added in F32: q k = q (k - mean) + q mean. What keys have in common, such as
// the large biases of Qwen2, would else take the few digits of BF16 that tell keys apart.
#pragma once

#include <cmath>

#include "kernels/bf16/block.h"
#include "kernels/bf16/gemm.h"
#include "kernels/simd/math.h"

namespace crispvl::kernels {
namespace {

constexpr float kLog2E = 1.44269504089f;   // exponentials are taken to base 2
constexpr float kNoSink = -INFINITY;       // a logit without weight
constexpr int64_t kGroupRows = 4 * kRows;  // queries whose scores are kept at once

// One thread's scratch, laid out for `n_tokens` keys of `d_head`.
struct Scratch {
    uint16_t* keys;     // panels of 64 keys: [panel][d_head / 2][64][2]
    uint16_t* values;   // panels of 64 dimensions: [panel][n_keys / 2][64][2]
    float* scores;      // [kGroupRows, n_keys]
    uint16_t* weights;  // BF16 [kGroupRows, n_keys], zero past the last visible key
    uint16_t* queries;  // BF16 [kGroupRows, d_head]
    uint16_t* rows;     // BF16 [2, d_head], keys or values on their way into a panel
    float* norms;       // [kGroupRows]
    float* means;       // of each panel's keys: [n_panels, d_head]
    float* shifts;      // queries times means: [kGroupRows, n_panels]
    int64_t n_keys;     // padded to whole panels
    int64_t n_panels;

    static size_t bytes(int64_t n_tokens, int64_t d_head) {
        const int64_t n_panels = panel_count(n_tokens), n_keys = n_panels * kPanelWidth;
        return static_cast<size_t>(n_keys * d_head * 2 * 2 + kGroupRows * n_keys * (4 + 2) +
                                   (kGroupRows + 2) * d_head * 2 + kGroupRows * 4 +
                                   n_panels * (d_head + kGroupRows) * 4);
    }
    Scratch(void* memory, int64_t n_tokens, int64_t d_head)
        : n_keys(panel_count(n_tokens) * kPanelWidth), n_panels(panel_count(n_tokens)) {
        keys = static_cast<uint16_t*>(memory);
        values = keys + n_keys * d_head;
        scores = reinterpret_cast<float*>(values + n_keys * d_head);
        weights = reinterpret_cast<uint16_t*>(scores + kGroupRows * n_keys);
        queries = weights + kGroupRows * n_keys;
        rows = queries + kGroupRows * d_head;
        norms = reinterpret_cast<float*>(rows + 2 * d_head);
        means = norms + kGroupRows;
        shifts = means + n_panels * d_head;
    }
};

// Rows of keys or values as BF16, where they are or converted into `buffer`.
struct Bf16Rows {
    const uint16_t* first;
    int64_t stride, n_rows, d_head;
    const uint16_t* row(int64_t i, uint16_t* /*buffer*/) const { return first + i * stride; }
};
struct F16Rows {
    const uint16_t* first;
    int64_t stride, n_rows, d_head;
    const uint16_t* row(int64_t i, uint16_t* buffer) const {
        const uint16_t* x = first + i * stride;
        for (int64_t d = 0; d < d_head; d += 16) store_bf16(buffer + d, load_f16(x + d));
        return buffer;
    }
};

// Keys less their panel's mean.
struct CentredRows : F16Rows {
    const float* means;
    const uint16_t* row(int64_t i, uint16_t* buffer) const {
        const uint16_t* x = first + i * stride;
        const float* mean = means + i / kPanelWidth * d_head;
        for (int64_t d = 0; d < d_head; d += 16) {
            store_bf16(buffer + d, sub(load_f16(x + d), load(mean + d)));
        }
        return buffer;
    }
};

void find_means(const F16Rows& keys, const Scratch& s) {
    for (int64_t begin = 0; begin < keys.n_rows; begin += kPanelWidth) {
        const int64_t n_left = keys.n_rows - begin, n = n_left < kPanelWidth ? n_left : kPanelWidth;
        float* mean = s.means + begin / kPanelWidth * keys.d_head;
        for (int64_t d = 0; d < keys.d_head; d += 16) {
            Floats sum = splat(0.0f);
            for (int64_t i = begin; i < begin + n; ++i) {
                sum = add(sum, load_f16(keys.first + i * keys.stride + d));
            }
            store(mean + d, mul(sum, splat(1.0f / static_cast<float>(n))));
        }
    }
}

// Shifts of query `row` for the panels of the first `n_keys` keys.
void find_shifts(const float* q, int64_t d_head, int64_t row, int64_t n_keys, const Scratch& s) {
    for (int64_t p = 0; p < panel_count(n_keys); ++p) {
        const float* mean = s.means + p * d_head;
        Floats sum = splat(0.0f);
        for (int64_t d = 0; d < d_head; d += 16) sum = fma(load(q + d), load(mean + d), sum);
        s.shifts[row * s.n_panels + p] = sum_of(sum);
    }
}

template <typename KeyRows>
void pack_keys(const KeyRows& keys, const Scratch& s) {
    const int64_t n_pairs = keys.d_head / 2;
    for (int64_t key = 0; key < s.n_keys; ++key) {
        uint32_t* out = reinterpret_cast<uint32_t*>(s.keys) +
                        key / kPanelWidth * n_pairs * kPanelWidth + key % kPanelWidth;
        if (key >= keys.n_rows) {
            for (int64_t i = 0; i < n_pairs; ++i) out[i * kPanelWidth] = 0;
            continue;
        }
        const uint32_t* in = reinterpret_cast<const uint32_t*>(keys.row(key, s.rows));
        for (int64_t i = 0; i < n_pairs; ++i) out[i * kPanelWidth] = in[i];
    }
}

// 16 elements of two rows (null: zeros), paired.
inline void store_pairs(const uint16_t* first, const uint16_t* second, uint16_t* out) {
    constexpr uint16_t kNone[16] = {};
    store_bits(out, pairs_of(load_halves(first != nullptr ? first : kNone),
                             load_halves(second != nullptr ? second : kNone)));
}

template <typename ValueRows>
void pack_values(const ValueRows& values, const Scratch& s) {
    const int64_t n_pairs = s.n_keys / 2, d_head = values.d_head;
    for (int64_t i = 0; i < n_pairs; ++i) {
        const auto row = [&](int64_t key, uint16_t* buffer) {
            return key < values.n_rows ? values.row(key, buffer) : nullptr;
        };
        const uint16_t* first = row(2 * i, s.rows);
        const uint16_t* second = row(2 * i + 1, s.rows + d_head);
        for (int64_t d = 0; d < d_head; d += 16) {
            uint16_t* out =
                s.values + (d / kPanelWidth * n_pairs + i) * kPanelWidth * 2 + d % kPanelWidth * 2;
            store_pairs(first != nullptr ? first + d : nullptr,
                        second != nullptr ? second + d : nullptr, out);
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
        const Floats shift = splat(s.shifts[(row + r) * s.n_panels + i_panel]);
        for (int v = 0; v < kVectors; ++v) {
            store(s.scores + (row + r) * s.n_keys + i_panel * kPanelWidth + v * 16,
                  add(sums[r][v], shift));
        }
    }
}

// Keys that a query sees: [first, end).
struct VisibleKeys {
    int64_t first, end;
};

// Of the 16 numbers from `i` on, those beyond `keys` become `filler`.
inline Floats keep_visible(VisibleKeys keys, int64_t i, Floats x, Floats filler) {
    x = keep_first(keys.end - i, x, filler);
    return keys.first > i ? keep_first(keys.first - i, filler, x) : x;
}

// Scores of one query -> BF16 weights of the keys it sees, zeros elsewhere up to `n_used`, and
// their sum in `norms`; base-2 exponentials. `sink`, in the same units, adds to the sum.
void soften(const Scratch& s, int64_t row, VisibleKeys keys, int64_t n_used, float scale,
            float sink) {
    const float* scores = s.scores + row * s.n_keys;
    uint16_t* weights = s.weights + row * s.n_keys;
    const Floats lowest = splat(-INFINITY);
    Floats largest = lowest;
    for (int64_t i = keys.first / 16 * 16; i < keys.end; i += 16) {
        largest = max(largest, keep_visible(keys, i, load(scores + i), lowest));
    }
    const float peak = std::fmax(scale * largest_of(largest), sink);
    const Floats factor = splat(scale), shift = splat(-peak);
    Floats sum = splat(0.0f);
    for (int64_t i = 0; i < n_used; i += 16) {
        const Floats e = exp2_ps(fma(load(scores + i), factor, shift));
        const Floats weight = keep_visible(keys, i, e, splat(0.0f));
        sum = add(sum, weight);
        store_bf16(weights + i, weight);
    }
    s.norms[row] = sum_of(sum) + std::exp2(sink - peak);
}

template <int kN>
void value_block(const Scratch& s, int64_t row, int64_t i_panel, int64_t n_used, uint16_t* y,
                 int64_t stride) {
    Sums sums;
    clear(sums);
    multiply<kN>(s.weights + row * s.n_keys, s.n_keys, s.values + i_panel * s.n_keys * kPanelWidth,
                 n_used / 2, sums);
    for (int r = 0; r < kN; ++r) {
        const Floats norm = splat(1.0f / s.norms[row + r]);
        for (int v = 0; v < kVectors; ++v) {
            store_bf16(y + (row + r) * stride + i_panel * kPanelWidth + v * 16,
                       mul(sums[r][v], norm));
        }
    }
}

// At most kGroupRows queries of d_head BF16 values, and where their outputs go.
struct QueryGroup {
    const uint16_t* q;
    int64_t q_stride;
    uint16_t* y;
    int64_t y_stride;
    int64_t n_rows, d_head;
};

// Query r sees the keys visible(r), which end no earlier than those of the query before it.
template <typename Visible>
void attend_group(const Scratch& s, const QueryGroup& group, const Visible& visible, float sink) {
    const int64_t n_rows = group.n_rows, n_pairs = group.d_head / 2;
    const float scale = kLog2E / std::sqrt(static_cast<float>(group.d_head));
    const int64_t n_used = panel_count(visible(n_rows - 1).end) * kPanelWidth;
    for (int64_t p = 0; p < n_used / kPanelWidth; ++p) {
        for_row_blocks(n_rows, [&](auto rows, int64_t row) {
            score_block<decltype(rows)::value>(group.q, group.q_stride, n_pairs, p, s, row);
        });
    }
    for (int64_t r = 0; r < n_rows; ++r) soften(s, r, visible(r), n_used, scale, sink);
    for (int64_t p = 0; p < group.d_head / kPanelWidth; ++p) {
        for_row_blocks(n_rows, [&](auto rows, int64_t row) {
            value_block<decltype(rows)::value>(s, row, p, n_used, group.y, group.y_stride);
        });
    }
}

// Calls head(i_head, first, last) for this thread's share. Heads are the unit of work; with more
// threads than heads, each head's queries are split.
template <typename Head>
void for_heads(int64_t n_heads, int64_t n_queries, int ith, int nth, const Head& head) {
    const int64_t n_splits = (nth + n_heads - 1) / n_heads;
    const int64_t n_items = n_heads * n_splits;
    for (int64_t item = n_items * ith / nth; item < n_items * (ith + 1) / nth; ++item) {
        const int64_t i_split = item % n_splits;
        head(item / n_splits, n_queries * i_split / n_splits, n_queries * (i_split + 1) / n_splits);
    }
}

int64_t group_size(int64_t first, int64_t last) {
    return last - first < kGroupRows ? last - first : kGroupRows;
}

void attention(const AttentionJob& job, void* memory, int ith, int nth) {
    const int64_t width = job.n_heads * job.d_head, stride = 3 * width;
    const Scratch s(memory, job.n_tokens, job.d_head);
    for (int64_t i = 0; i < kGroupRows * s.n_panels; ++i) s.shifts[i] = 0.0f;
    int64_t packed = -1;
    const auto head = [&](int64_t i_head, int64_t first, int64_t last) {
        const int64_t i_tile = i_head / job.n_heads, column = i_head % job.n_heads * job.d_head;
        const uint16_t* q = job.qkv + i_tile * job.n_tokens * stride + column;
        if (packed != i_head) {
            pack_keys(Bf16Rows{q + width, stride, job.n_tokens, job.d_head}, s);
            pack_values(Bf16Rows{q + 2 * width, stride, job.n_tokens, job.d_head}, s);
            packed = i_head;
        }
        uint16_t* y = job.y + i_tile * job.n_tokens * width + column;
        const auto all = [&](int64_t) { return VisibleKeys{0, job.n_tokens}; };
        for (int64_t i = first; i < last; i += kGroupRows) {
            attend_group(
                s, {q + i * stride, stride, y + i * width, width, group_size(i, last), job.d_head},
                all, kNoSink);
        }
    };
    for_heads(job.n_tiles * job.n_heads, job.n_tokens, ith, nth, head);
}

void causal_attention(const CausalAttentionJob& job, void* memory, int ith, int nth) {
    const int64_t n_kv = job.n_past + job.n_new, width = job.n_heads * job.d_head;
    const int64_t kv_stride = job.n_kv_heads * job.d_head, n_shared = job.n_heads / job.n_kv_heads;
    const Scratch s(memory, n_kv, job.d_head);
    int64_t packed = -1;
    const auto head = [&](int64_t i_head, int64_t first, int64_t last) {
        const int64_t i_kv_head = i_head / n_shared, column = i_head * job.d_head;
        const float sink = job.sinks != nullptr ? job.sinks[i_head] * kLog2E : kNoSink;
        if (packed != i_kv_head) {
            const int64_t kv_column = i_kv_head * job.d_head;
            const F16Rows keys{job.k + kv_column, kv_stride, n_kv, job.d_head};
            find_means(keys, s);
            pack_keys(CentredRows{keys, s.means}, s);
            pack_values(F16Rows{job.v + kv_column, kv_stride, n_kv, job.d_head}, s);
            packed = i_kv_head;
        }
        for (int64_t i = first; i < last; i += kGroupRows) {
            const int64_t n_rows = group_size(i, last);
            const auto past = [&](int64_t r) {
                const int64_t end = job.n_past + i + r + 1;
                return VisibleKeys{job.window > 0 && end > job.window ? end - job.window : 0, end};
            };
            for (int64_t r = 0; r < n_rows; ++r) {
                const float* q = job.q + (i + r) * width + column;
                round_rows(q, job.d_head, s.queries + r * job.d_head);
                find_shifts(q, job.d_head, r, past(n_rows - 1).end, s);
            }
            attend_group(
                s, {s.queries, job.d_head, job.y + i * width + column, width, n_rows, job.d_head},
                past, sink);
        }
    };
    for_heads(job.n_heads, job.n_new, ith, nth, head);
}

}  // namespace
}  // namespace crispvl::kernels
