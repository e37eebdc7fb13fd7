// y = W x for a few rows of x. The work is reading W: 16 of its rows at a time are unpacked into a
// panel in the nearest cache, chunk by chunk, for all rows of x; or, for one or two of them on
// AVX2, multiplied as they are. Compiled once per instruction set.
#pragma once

#include "kernels/int8/formats.h"
#include "kernels/int8/multiply.h"
#if defined(CRISPVL_BYTE_PAIRS)
#include "kernels/int8/dot_rows.h"
#endif
#include "kernels/simd/math.h"

namespace crispvl::kernels {
namespace {

constexpr int kTokens = 24;      // rows of x in one pass over W
constexpr int64_t kChunk = 256;  // inputs
constexpr int kSecondCache = 2;  // where prefetched weights go
// Rows of x whose sums with one panel a register block holds.
constexpr int kTokensAtOnce = kRows * kPanelsAtOnce >= 8 ? 8 : 4;

// Sums of 16 outputs for every token.
using Totals = Floats[kTokens];

inline void prefetch(const uint8_t* p, int64_t n_bytes) {
    for (int64_t i = 0; i < n_bytes; i += 64) __builtin_prefetch(p + i, /*write=*/0, kSecondCache);
}

inline int64_t tokens_at_once(int64_t n_left) {
    return n_left < kTokensAtOnce ? n_left : kTokensAtOnce;
}

template <int n>
struct Count {
    static constexpr int value = n;
};
// Calls f(Count<n>{}) for an n known only now.
template <typename F>
inline void with_count(int64_t n, const F& f) {
    switch (n) {
        case 1:
            return f(Count<1>{});
        case 2:
            return f(Count<2>{});
        case 3:
            return f(Count<3>{});
        case 4:
            return f(Count<4>{});
        case 5:
            return f(Count<5>{});
        case 6:
            return f(Count<6>{});
        case 7:
            return f(Count<7>{});
        default:
            return f(Count<8>{});
    }
}

// Tokens [first, first + n) of the job meet a chunk that starts at block `i_block`.
template <typename Format, int n>
void meet(const RowsJob& job, const PanelView& chunk, int64_t i_block, int64_t n_blocks,
          int64_t first, Floats* totals) {
    const QuantisedBlock* x[n];
    Floats own[1][n];
    for (int t = 0; t < n; ++t) {
        x[t] = quantised_row(job.x, job.n_in, first + t) + i_block;
        own[0][t] = totals[t];
    }
    multiply<Format>(&chunk, n_blocks, x, own);
    for (int t = 0; t < n; ++t) totals[t] = own[0][t];
}

// A group of quantised rows times tokens [first, first + n_tokens).
template <typename Format>
struct Quantised {
    static void product(const RowsJob& job, RowGroup group, int64_t first, int64_t n_tokens,
                        Totals& totals) {
#if defined(CRISPVL_BYTE_PAIRS)
        if (n_tokens == 1) return dot_group<Format, 1>(job, group, first, totals);
        if (n_tokens == 2) return dot_group<Format, 2>(job, group, first, totals);
#endif
        const uint8_t* next = group.rows[0] + kPanelOutputs * job.row_bytes;
        for (int t = 0; t < n_tokens; ++t) totals[t] = splat(0.0f);
        PanelChunk room;
        const PanelSpace chunk = room.space();
        for (int64_t i = 0; i < job.n_in; i += kChunk) {
            const int64_t n_inputs = job.n_in - i < kChunk ? job.n_in - i : kChunk;
            for (int64_t j = 0; j < n_inputs / Format::kInputs; ++j) {
                prefetch(next, kPanelOutputs * Format::kBytes);
                next += kPanelOutputs * Format::kBytes;
                unpack<Format>(group, Format::kInputs, chunk.from<Format>(j * Format::kInputs));
            }
            for (int64_t t = 0; t < n_tokens; t += kTokensAtOnce) {
                with_count(tokens_at_once(n_tokens - t), [&](auto n) {
                    meet<Format, decltype(n)::value>(job, chunk.view(), i / kQuantBlock,
                                                     n_inputs / kQuantBlock, first + t, totals + t);
                });
            }
        }
    }
};

// The panel that a group of rows was packed to.
struct Packed {
    static void product(const RowsJob& job, const RowGroup& group, int64_t first, int64_t n_tokens,
                        Totals& totals) {
        const PanelView panel = packed_panel(group.rows[0], job.n_in);
        for (int64_t t = 0; t < n_tokens; ++t) totals[t] = splat(0.0f);
        for (int64_t t = 0; t < n_tokens; t += kTokensAtOnce) {
            with_count(tokens_at_once(n_tokens - t), [&](auto n) {
                meet<Q8_0, decltype(n)::value>(job, panel, 0, job.n_in / kQuantBlock, first + t,
                                               totals + t);
            });
        }
    }
};

// 16 weights of a type without blocks.
struct F16 {
    static constexpr int64_t kBytes = 2;
    static inline Floats load_first(int64_t n, const uint8_t* p) {
        return widen_f16(load_halves_first(n, p));
    }
};
struct BF16 {
    static constexpr int64_t kBytes = 2;
    static inline Floats load_first(int64_t n, const uint8_t* p) {
        return widen_bf16(load_halves_first(n, p));
    }
};
struct F32 {
    static constexpr int64_t kBytes = 4;
    static inline Floats load_first(int64_t n, const uint8_t* p) {
        return kernels::load_first(n, reinterpret_cast<const float*>(p));
    }
};

// One row of W times n rows of x.
template <typename Format, int n>
void dot_row(const uint8_t* row, const float* x, int64_t n_in, size_t row_bytes, float* sums) {
    Floats totals[n];
    for (int t = 0; t < n; ++t) totals[t] = splat(0.0f);
    for (int64_t i = 0; i < n_in; i += 16) {
        const uint8_t* p = row + i * Format::kBytes;
        __builtin_prefetch(p + 8 * row_bytes, /*write=*/0, kSecondCache);
        const Floats w = Format::load_first(n_in - i, p);
#pragma GCC unroll 8
        for (int t = 0; t < n; ++t) {
            const Floats values = load_first(n_in - i, x + t * n_in + i);
            totals[t] = fma(w, values, totals[t]);
        }
    }
    for (int t = 0; t < n; ++t) sums[t * kPanelOutputs] = sum_of(totals[t]);
}

template <typename Format>
struct Plain {
    static void product(const RowsJob& job, const RowGroup& group, int64_t first, int64_t n_tokens,
                        Totals& totals) {
        alignas(64) float sums[kTokens][kPanelOutputs];
        const float* x = static_cast<const float*>(job.x) + first * job.n_in;
        for (int i = 0; i < kPanelOutputs; ++i) {
            for (int64_t t = 0; t < n_tokens; t += kTokensAtOnce) {
                with_count(tokens_at_once(n_tokens - t), [&](auto n) {
                    dot_row<Format, decltype(n)::value>(group.rows[i], x + t * job.n_in, job.n_in,
                                                        job.row_bytes, &sums[t][i]);
                });
            }
        }
        for (int64_t t = 0; t < n_tokens; ++t) totals[t] = load(sums[t]);
    }
};

// All tokens' sums of the rows from `row` on, on their way to memory; `ups` only for swiglu.
void store(const RowsJob& job, int64_t row, int64_t n_rows, int64_t first, int64_t n_tokens,
           const Totals& totals, const Totals& ups) {
    for (int64_t t = 0; t < n_tokens; ++t) {
        const int64_t at = (first + t) * job.y_stride + row;
        Floats y = with_bias(job.bias, row, n_rows, totals[t]);
        if (job.epilogue == RowEpilogue::swiglu) {
            y = mul(silu_ps(y), with_bias(job.up_bias, row, n_rows, ups[t]));
        } else if (job.epilogue == RowEpilogue::residual) {
            y = add(load_first(n_rows, job.residual + at), y);
        }
        store_first(n_rows, job.y + at, y);
    }
}

template <typename Product>
void run(const RowsJob& job, int64_t begin, int64_t end) {
    Totals totals, ups;
    for (int64_t row = begin; row < end; row += kPanelOutputs) {
        const int64_t n_rows = end - row < kPanelOutputs ? end - row : kPanelOutputs;
        const RowGroup group(job.weights, job.row_bytes, row, n_rows);
        for (int64_t first = 0; first < job.n_tokens; first += kTokens) {
            const int64_t left = job.n_tokens - first, n = left < kTokens ? left : kTokens;
            Product::product(job, group, first, n, totals);
            if (job.epilogue == RowEpilogue::swiglu) {
                const RowGroup up_group(job.up_weights, job.row_bytes, row, n_rows);
                Product::product(job, up_group, first, n, ups);
            }
            store(job, row, n_rows, first, n, totals, ups);
        }
    }
}

void product_of_rows(const RowsJob& job, int64_t begin, int64_t end) {
    switch (job.type) {
        case RowType::panels:
            return run<Packed>(job, begin, end);
        case RowType::f16:
            return run<Plain<F16>>(job, begin, end);
        case RowType::bf16:
            return run<Plain<BF16>>(job, begin, end);
        case RowType::f32:
            return run<Plain<F32>>(job, begin, end);
        default:
            return with_format(
                job.type, [&](auto format) { run<Quantised<decltype(format)>>(job, begin, end); });
    }
}

}  // namespace
}  // namespace crispvl::kernels
