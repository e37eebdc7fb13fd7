// y = W x for a few rows of x. The work is reading W: 16 of its rows at a time are unpacked into a
// panel in the nearest cache, chunk by chunk, for all rows of x. Weights without blocks, and on
// AVX2 all weights for one or two rows of x, are multiplied row by row as they are. Compiled once
// per instruction set.
#pragma once

#include "kernels/int8/dot_plain.h"
#include "kernels/int8/formats.h"
#include "kernels/int8/multiply.h"
#if defined(CRISPVL_BYTE_PAIRS)
#include "kernels/int8/dot_blocks.h"
#endif
#include "kernels/simd/math.h"

namespace crispvl::kernels {
namespace {

constexpr int kTokens = 24;      // rows of x in one pass over W
constexpr int64_t kChunk = 256;  // inputs
// Rows of x whose sums with one panel a register block holds.
constexpr int kTokensAtOnce = kRows * kPanelsAtOnce >= 8 ? 8 : 4;

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

// ---- ways of multiplying ------------------------------------------------------------------------
//
// product: totals [kGroups][kTokens] = groups of 16 rows times tokens [first, first + n_tokens).

// By a panel that quantised rows are unpacked to.
template <typename Format>
struct Unpacked {
    static constexpr int kGroups = 1;

    static void product(const RowsJob& job, const RowRange& range, int64_t first, int64_t n_tokens,
                        Floats* totals) {
        RowGroup group(range);
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

// By the panel that a group was packed to.
struct Packed {
    static constexpr int kGroups = 1;

    static void product(const RowsJob& job, const RowRange& range, int64_t first, int64_t n_tokens,
                        Floats* totals) {
        const PanelView panel = packed_panel(range.row(0), job.n_in);
        for (int64_t t = 0; t < n_tokens; ++t) totals[t] = splat(0.0f);
        for (int64_t t = 0; t < n_tokens; t += kTokensAtOnce) {
            with_count(tokens_at_once(n_tokens - t), [&](auto n) {
                meet<Q8_0, decltype(n)::value>(job, panel, 0, job.n_in / kQuantBlock, first + t,
                                               totals + t);
            });
        }
    }
};

// Row by row, for n tokens. One row of every group is read at a time: memory serves four streams up
// to 1.4 times as fast as one (measured on Zen 3).
template <typename Rows, int n, int n_groups>
struct Dotted {
    static constexpr int kGroups = n_groups;

    static void product(const RowsJob& job, const RowRange& range, int64_t first,
                        int64_t /*n_tokens*/, Floats* totals) {
        alignas(64) float sums[kGroups][n][kPanelOutputs];
        for (int i = 0; i < kPanelOutputs; ++i) {
            const uint8_t* rows[kGroups];
            for (int g = 0; g < kGroups; ++g) rows[g] = range.row(g * kPanelOutputs + i);
            float of_rows[kGroups][n];
            Rows::dot(job, rows, first, of_rows);
            for (int g = 0; g < kGroups; ++g) {
                for (int t = 0; t < n; ++t) sums[g][t][i] = of_rows[g][t];
            }
        }
        for (int g = 0; g < kGroups; ++g) {
            for (int t = 0; t < n; ++t) totals[g * kTokens + t] = load(sums[g][t]);
        }
    }
};

// Row by row, for any number of tokens.
template <typename Rows>
struct DottedInTurn {
    static constexpr int kGroups = 1;

    static void product(const RowsJob& job, const RowRange& range, int64_t first, int64_t n_tokens,
                        Floats* totals) {
        for (int64_t t = 0; t < n_tokens; t += kTokensAtOnce) {
            with_count(tokens_at_once(n_tokens - t), [&](auto n) {
                Dotted<Rows, n.value, 1>::product(job, range, first + t, n.value, totals + t);
            });
        }
    }
};

// ---- walking over W -----------------------------------------------------------------------------

// All tokens' sums of the rows from `row` on, on their way to memory; `ups` only for swiglu.
void store(const RowsJob& job, int64_t row, int64_t n_rows, int64_t first, int64_t n_tokens,
           const Floats* totals, const Floats* ups) {
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

template <typename Way>
void walk(const RowsJob& job, int64_t begin, int64_t end) {
    constexpr int64_t kStep = Way::kGroups * kPanelOutputs;
    Floats totals[Way::kGroups * kTokens], ups[Way::kGroups * kTokens];
    for (int64_t row = begin; row < end; row += kStep) {
        const int64_t n_rows = end - row < kStep ? end - row : kStep;
        for (int64_t first = 0; first < job.n_tokens; first += kTokens) {
            const int64_t left = job.n_tokens - first, n = left < kTokens ? left : kTokens;
            Way::product(job, {job.weights, job.row_bytes, row, n_rows}, first, n, totals);
            if (job.epilogue == RowEpilogue::swiglu) {
                Way::product(job, {job.up_weights, job.row_bytes, row, n_rows}, first, n, ups);
            }
            for (int64_t i = 0; i < n_rows; i += kPanelOutputs) {
                const int64_t n_left = n_rows - i, group = i / kPanelOutputs * kTokens;
                store(job, row + i, n_left < kPanelOutputs ? n_left : kPanelOutputs, first, n,
                      totals + group, ups + group);
            }
        }
    }
}

// For n tokens, row by row: several groups at a time while there are as many.
template <typename Rows, int n>
void walk_by_rows(const RowsJob& job, int64_t begin, int64_t end) {
    constexpr int kGroups = Rows::kStreams > n ? Rows::kStreams / n : 1;
    const int64_t whole =
        begin + (end - begin) / (kGroups * kPanelOutputs) * kGroups * kPanelOutputs;
    walk<Dotted<Rows, n, kGroups>>(job, begin, whole);
    walk<Dotted<Rows, n, 1>>(job, whole, end);
}

// Row by row for one or two tokens, for more in another way.
template <typename Rows, typename Many>
void walk_by_tokens(const RowsJob& job, int64_t begin, int64_t end) {
    if (job.n_tokens == 1) return walk_by_rows<Rows, 1>(job, begin, end);
    if (job.n_tokens == 2) return walk_by_rows<Rows, 2>(job, begin, end);
    walk<Many>(job, begin, end);
}

template <typename Format>
void product_of_blocks(const RowsJob& job, int64_t begin, int64_t end) {
#if defined(CRISPVL_BYTE_PAIRS)
    walk_by_tokens<QuantisedRows<Format>, Unpacked<Format>>(job, begin, end);
#else
    walk<Unpacked<Format>>(job, begin, end);
#endif
}

template <typename Format>
void product_of_plain(const RowsJob& job, int64_t begin, int64_t end) {
    using Rows = PlainRows<Format>;
    walk_by_tokens<Rows, DottedInTurn<Rows>>(job, begin, end);
}

void product_of_rows(const RowsJob& job, int64_t begin, int64_t end) {
    switch (job.type) {
        case RowType::panels:
            return walk<Packed>(job, begin, end);
        case RowType::f16:
            return product_of_plain<F16>(job, begin, end);
        case RowType::bf16:
            return product_of_plain<BF16>(job, begin, end);
        case RowType::f32:
            return product_of_plain<F32>(job, begin, end);
        default:
            return with_format(job.type, [&](auto format) {
                product_of_blocks<decltype(format)>(job, begin, end);
            });
    }
}

}  // namespace
}  // namespace crispvl::kernels
