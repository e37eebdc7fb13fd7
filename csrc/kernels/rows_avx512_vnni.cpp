// y = W x for a few rows of x. The work is reading W: 16 of its rows at a time are unpacked into a
// panel in the nearest cache, chunk by chunk, for all rows of x.
#include "kernels/avx512_epilogue.h"
#include "kernels/int8_kernels.h"
#include "kernels/panel_formats_avx512.h"
#include "kernels/simd_math.h"

namespace crispvl::kernels {
namespace {

constexpr int kTokens = 24;       // rows of x in one pass over W
constexpr int kTokensAtOnce = 8;  // of which a register block holds
constexpr int64_t kChunk = 256;   // inputs

// Sums of 16 outputs for every token.
using Totals = __m512[kTokens];

inline void prefetch(const uint8_t* p, int64_t n_bytes) {
    for (int64_t i = 0; i < n_bytes; i += 64) _mm_prefetch(p + i, _MM_HINT_T1);
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
          int64_t first, __m512* totals) {
    const QuantisedBlock* x[n];
    __m512 own[1][n];
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
        const uint8_t* next = group.rows[0] + kPanelOutputs * job.row_bytes;
        for (int t = 0; t < n_tokens; ++t) totals[t] = _mm512_setzero_ps();
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
                with_count(n_tokens - t, [&](auto n) {
                    meet<Format, decltype(n)::value>(job, chunk.view(), i / kQuantBlock,
                                                     n_inputs / kQuantBlock, first + t, totals + t);
                });
            }
        }
    }
};

// 16 weights of a type without blocks.
struct F16 {
    static constexpr int64_t kBytes = 2;
    static inline __m512 load(__mmask16 mask, const uint8_t* p) {
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, p));
    }
};
struct BF16 {
    static constexpr int64_t kBytes = 2;
    static inline __m512 load(__mmask16 mask, const uint8_t* p) {
        const __m512i bits = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p));
        return _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
    }
};
struct F32 {
    static constexpr int64_t kBytes = 4;
    static inline __m512 load(__mmask16 mask, const uint8_t* p) {
        return _mm512_maskz_loadu_ps(mask, p);
    }
};

// One row of W times n rows of x.
template <typename Format, int n>
void dot(const uint8_t* row, const float* x, int64_t n_in, size_t row_bytes, float* sums) {
    __m512 totals[n];
    for (int t = 0; t < n; ++t) totals[t] = _mm512_setzero_ps();
    for (int64_t i = 0; i < n_in; i += 16) {
        const __mmask16 mask = tail_mask(n_in - i);
        const uint8_t* p = row + i * Format::kBytes;
        _mm_prefetch(p + 2 * row_bytes, _MM_HINT_T0);
        const __m512 w = Format::load(mask, p);
#pragma GCC unroll 8
        for (int t = 0; t < n; ++t) {
            const __m512 values = _mm512_maskz_loadu_ps(mask, x + t * n_in + i);
            totals[t] = _mm512_fmadd_ps(w, values, totals[t]);
        }
    }
    for (int t = 0; t < n; ++t) sums[t * kPanelOutputs] = _mm512_reduce_add_ps(totals[t]);
}

template <typename Format>
struct Plain {
    static void product(const RowsJob& job, const RowGroup& group, int64_t first, int64_t n_tokens,
                        Totals& totals) {
        alignas(64) float sums[kTokens][kPanelOutputs];
        const float* x = static_cast<const float*>(job.x) + first * job.n_in;
        for (int i = 0; i < kPanelOutputs; ++i) {
            for (int64_t t = 0; t < n_tokens; t += kTokensAtOnce) {
                with_count(n_tokens - t, [&](auto n) {
                    dot<Format, decltype(n)::value>(group.rows[i], x + t * job.n_in, job.n_in,
                                                    job.row_bytes, &sums[t][i]);
                });
            }
        }
        for (int64_t t = 0; t < n_tokens; ++t) totals[t] = _mm512_load_ps(sums[t]);
    }
};

inline __m512 with_bias(const float* bias, int64_t row, __mmask16 mask, __m512 sum) {
    return bias != nullptr ? _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, bias + row)) : sum;
}

// All tokens' sums of the rows from `row` on, on their way to memory; `ups` only for swiglu.
void store(const RowsJob& job, int64_t row, int64_t n_rows, int64_t first, int64_t n_tokens,
           const Totals& totals, const Totals& ups) {
    const __mmask16 mask = tail_mask(n_rows);
    for (int64_t t = 0; t < n_tokens; ++t) {
        const int64_t at = (first + t) * job.y_stride + row;
        __m512 y = with_bias(job.bias, row, mask, totals[t]);
        if (job.epilogue == RowEpilogue::swiglu) {
            y = _mm512_mul_ps(silu_ps(y), with_bias(job.up_bias, row, mask, ups[t]));
        } else if (job.epilogue == RowEpilogue::residual) {
            y = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, job.residual + at), y);
        }
        _mm512_mask_storeu_ps(job.y + at, mask, y);
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

}  // namespace

void rows_product(const RowsJob& job, int64_t begin, int64_t end) {
    switch (job.type) {
        case RowType::q4_0:
            return run<Quantised<Q4_0>>(job, begin, end);
        case RowType::q4_1:
            return run<Quantised<Q4_1>>(job, begin, end);
        case RowType::q5_0:
            return run<Quantised<Q5_0>>(job, begin, end);
        case RowType::q5_1:
            return run<Quantised<Q5_1>>(job, begin, end);
        case RowType::q8_0:
            return run<Quantised<Q8_0>>(job, begin, end);
        case RowType::q4_k:
            return run<Quantised<Q4_K>>(job, begin, end);
        case RowType::q5_k:
            return run<Quantised<Q5_K>>(job, begin, end);
        case RowType::q6_k:
            return run<Quantised<Q6_K>>(job, begin, end);
        case RowType::f16:
            return run<Plain<F16>>(job, begin, end);
        case RowType::bf16:
            return run<Plain<BF16>>(job, begin, end);
        case RowType::f32:
            return run<Plain<F32>>(job, begin, end);
    }
}

}  // namespace crispvl::kernels
