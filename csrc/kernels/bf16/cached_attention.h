// Attention of a few new tokens over the F16 caches of their sequences, in F32. Keys are taken 64
// at a time, with the running maximum and sum of Milakov and Gimelshein (arXiv 1805.02867); queries
// that share a head of keys share their conversion. A query's result depends on nothing but its own
// cache, bit for bit. Compiled once per instruction set.
#pragma once

#include <cmath>

#include "kernels/bf16/attention.h"

namespace crispvl::kernels {
namespace {

constexpr int64_t kKeys = 64;       // at a time
constexpr int64_t kKeysAhead = 16;  // of the one at work, that are on their way from memory

// A block of at most kSumsAtOnce queries: its share of one head of keys.
struct QueryBlock {
    const float* q[kSumsAtOnce];  // [d_head]
    float* y[kSumsAtOnce];        // [d_head], sums of weighted values so far
    VisibleKeys visible[kSumsAtOnce];
    float sink[kSumsAtOnce];     // a logit to base 2; kNoSink: none
    float largest[kSumsAtOnce];  // score so far
    float sum[kSumsAtOnce];      // of weights so far, relative to `largest`
    int64_t n;
};

// Has a row of a cache come near while others are at work: CPUs do not foresee the next one.
inline void fetch_row(const uint16_t* row, int64_t n) {
    constexpr int64_t kLine = 64 / sizeof(uint16_t);
    for (int64_t i = 0; i < n; i += kLine) __builtin_prefetch(row + i);
}

// The values of the same positions come near meanwhile.
inline void convert_keys(const uint16_t* k, const uint16_t* v, int64_t stride, int64_t n_keys,
                         int64_t d_head, float* keys) {
    for (int64_t i = 0; i < n_keys; ++i) {
        fetch_row(k + (i + kKeysAhead) * stride, d_head);
        fetch_row(v + i * stride, d_head);
        for (int64_t d = 0; d < d_head; d += 16) {
            store(keys + i * d_head + d, load_f16(k + i * stride + d));
        }
    }
}

// Scores of one query; beyond `n_keys`, up to a multiple of 16, they are arbitrary. A width known
// beforehand, kWidth, is faster; 0: it is not.
template <int kWidth>
inline void score_keys(const float* q, const float* keys, int64_t n_keys, int64_t d_head,
                       float* scores) {
    const int64_t width = kWidth > 0 ? kWidth : d_head;
    for (int64_t first = 0; first < n_keys; first += 16) {
        Floats sums[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
            const float* key = keys + (first + i) * width;
            sums[i] = mul(load(q), load(key));
#pragma GCC unroll 8
            for (int64_t d = 16; d < width; d += 16) {
                sums[i] = fma(load(q + d), load(key + d), sums[i]);
            }
        }
        store(scores + first, sums_of(sums));
    }
}

// Scores of query `r` for the kKeys keys from `first` on -> weights of those it sees, zeros
// elsewhere. Returns the factor by which earlier weights shrink.
inline float soften_keys(QueryBlock& block, int64_t r, int64_t first, float scale, float* scores) {
    const VisibleKeys keys{block.visible[r].first - first, block.visible[r].end - first};
    const Floats lowest = splat(-INFINITY);
    Floats largest = lowest;
    for (int64_t i = 0; i < kKeys && i < keys.end; i += 16) {
        largest = max(largest, keep_visible(keys, i, load(scores + i), lowest));
    }
    const float before = block.largest[r], now = std::fmax(before, largest_of(largest));
    if (now == -INFINITY) {  // it sees none of the keys so far
        for (int64_t i = 0; i < kKeys; i += 16) store(scores + i, splat(0.0f));
        return 0.0f;
    }
    const Floats shift = splat(-scale * now);
    Floats sum = splat(0.0f);
    for (int64_t i = 0; i < kKeys; i += 16) {
        const Floats weight =
            keep_visible(keys, i, exp2_ps(fma(load(scores + i), splat(scale), shift)), splat(0.0f));
        sum = add(sum, weight);
        store(scores + i, weight);
    }
    const float factor = before == -INFINITY ? 0.0f : std::exp2(scale * (before - now));
    block.largest[r] = now;
    block.sum[r] = block.sum[r] * factor + sum_of(sum);
    return factor;
}

// y[r] = y[r] * factors[r] + weights[r] V, for all queries at once.
template <int n>
inline void add_values(const QueryBlock& block, const uint16_t* v, int64_t stride, int64_t n_keys,
                       int64_t d_head, const float (*weights)[kKeys], const float* factors) {
    for (int64_t d = 0; d < d_head; d += 16) {
        Floats sums[n];
#pragma GCC unroll 12
        for (int r = 0; r < n; ++r) sums[r] = mul(load(block.y[r] + d), splat(factors[r]));
        for (int64_t i = 0; i < n_keys; ++i) {
            const Floats value = load_f16(v + i * stride + d);
#pragma GCC unroll 12
            for (int r = 0; r < n; ++r) sums[r] = fma(splat(weights[r][i]), value, sums[r]);
        }
#pragma GCC unroll 12
        for (int r = 0; r < n; ++r) store(block.y[r] + d, sums[r]);
    }
}

template <int n = kSumsAtOnce>
inline void add_values_of(const QueryBlock& block, const uint16_t* v, int64_t stride,
                          int64_t n_keys, int64_t d_head, const float (*weights)[kKeys],
                          const float* factors) {
    if constexpr (n > 1) {
        if (block.n < n) {
            return add_values_of<n - 1>(block, v, stride, n_keys, d_head, weights, factors);
        }
    }
    add_values<n>(block, v, stride, n_keys, d_head, weights, factors);
}

// `k` and `v`: this head's numbers of the first position.
template <int kWidth>
void attend_block(QueryBlock& block, const uint16_t* k, const uint16_t* v, int64_t stride,
                  int64_t d_head, float* keys) {
    const float scale = kLog2E / std::sqrt(static_cast<float>(d_head));
    int64_t n_unseen = block.visible[0].first, n_seen = 0;
    for (int64_t r = 0; r < block.n; ++r) {
        n_unseen = block.visible[r].first < n_unseen ? block.visible[r].first : n_unseen;
        n_seen = block.visible[r].end > n_seen ? block.visible[r].end : n_seen;
        block.largest[r] = -INFINITY;
        block.sum[r] = 0.0f;
        for (int64_t d = 0; d < d_head; d += 16) store(block.y[r] + d, splat(0.0f));
    }
    for (int64_t first = n_unseen / kKeys * kKeys; first < n_seen; first += kKeys) {
        const int64_t n_keys = n_seen - first < kKeys ? n_seen - first : kKeys;
        alignas(64) float weights[kSumsAtOnce][kKeys];
        float factors[kSumsAtOnce];
        convert_keys(k + first * stride, v + first * stride, stride, n_keys, d_head, keys);
        for (int64_t r = 0; r < block.n; ++r) {
            score_keys<kWidth>(block.q[r], keys, n_keys, d_head, weights[r]);
            factors[r] = soften_keys(block, r, first, scale, weights[r]);
        }
        add_values_of(block, v + first * stride, stride, n_keys, d_head, weights, factors);
    }
    for (int64_t r = 0; r < block.n; ++r) {
        const float peak = std::fmax(scale * block.largest[r], block.sink[r]);
        const float shrunk = std::exp2(scale * block.largest[r] - peak);
        const float sum = block.sum[r] * shrunk + std::exp2(block.sink[r] - peak);
        const Floats norm = splat(shrunk / sum);
        for (int64_t d = 0; d < d_head; d += 16) {
            store(block.y[r] + d, mul(load(block.y[r] + d), norm));
        }
    }
}

// Queries [begin, end) of those that share a head of one sequence's keys: for each new token the
// heads of the group.
void attend_queries(const CachedAttentionJob& job, const CachedSequence& sequence,
                    int64_t i_kv_head, int64_t begin, int64_t end, float* keys) {
    const int64_t n_shared = job.n_heads / job.n_kv_heads;
    for (int64_t first = begin; first < end; first += kSumsAtOnce) {
        QueryBlock block;
        block.n = end - first < kSumsAtOnce ? end - first : kSumsAtOnce;
        for (int64_t r = 0; r < block.n; ++r) {
            const int64_t token = (first + r) / n_shared, head = (first + r) % n_shared;
            const int64_t at =
                ((sequence.i_first + token) * job.n_heads + i_kv_head * n_shared + head) *
                job.d_head;
            block.q[r] = job.q + at;
            block.y[r] = job.y + at;
            const int64_t last = sequence.n_past + token + 1, i_head = i_kv_head * n_shared + head;
            block.visible[r] = {job.window > 0 && last > job.window ? last - job.window : 0, last};
            block.sink[r] = job.sinks != nullptr ? job.sinks[i_head] * kLog2E : kNoSink;
        }
        const auto attend = job.d_head == 64    ? attend_block<64>
                            : job.d_head == 128 ? attend_block<128>
                                                : attend_block<0>;
        attend(block, sequence.k + i_kv_head * job.d_head, sequence.v + i_kv_head * job.d_head,
               job.n_kv_heads * job.d_head, job.d_head, keys);
    }
}

// A sequence's head of keys is the unit of work; with more threads than these, its queries are
// split.
void attend_caches(const CachedAttentionJob& job, int ith, int nth) {
    alignas(64) float keys[kKeys * kLargestCachedHead];
    const int64_t n_units = job.n_sequences * job.n_kv_heads;
    const int64_t n_splits = (nth + n_units - 1) / n_units, n_items = n_units * n_splits;
    for (int64_t item = n_items * ith / nth; item < n_items * (ith + 1) / nth; ++item) {
        const int64_t i_unit = item / n_splits, i_split = item % n_splits;
        const CachedSequence& sequence = job.sequences[i_unit / job.n_kv_heads];
        const int64_t n_queries = sequence.n_new * (job.n_heads / job.n_kv_heads);
        attend_queries(job, sequence, i_unit % job.n_kv_heads, n_queries * i_split / n_splits,
                       n_queries * (i_split + 1) / n_splits, keys);
    }
}

}  // namespace
}  // namespace crispvl::kernels
