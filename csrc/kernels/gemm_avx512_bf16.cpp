// Y = X W^T for BF16, blocked for registers: 6 rows by 64 outputs stay in 24 accumulators while
// pairs of inputs stream by (the blocking of Goto and van de Geijn, ACM TOMS 34(3), 2008).
#include "kernels/bf16_kernels.h"

#include "kernels/avx512_bf16_block.h"
#include "kernels/avx512_math.h"

namespace crispvl::kernels {
namespace {

// One vector of 16 finished sums on its way to memory.
inline void finish(const GemmJob& job, int64_t row, int64_t column, __m512 sum) {
    const __mmask16 mask = tail_mask(job.n_out - column);
    if (mask == 0) return;
    if (job.bias != nullptr) {
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, job.bias + column));
    }
    const int64_t at = row * job.n_out + column;
    switch (job.epilogue) {
        case Epilogue::store_f32:
            _mm512_mask_storeu_ps(static_cast<float*>(job.y) + at, mask, sum);
            break;
        case Epilogue::store_bf16:
            store_bf16(static_cast<uint16_t*>(job.y) + at, mask, sum);
            break;
        case Epilogue::gelu_bf16:
            store_bf16(static_cast<uint16_t*>(job.y) + at, mask, gelu_ps(sum));
            break;
        case Epilogue::swiglu_bf16:
            break;  // finish_swiglu
        case Epilogue::residual_f32: {
            const __m512 residual = _mm512_maskz_loadu_ps(mask, job.residual + at);
            const __m512 scale = job.scale != nullptr
                                     ? _mm512_maskz_loadu_ps(mask, job.scale + column)
                                     : _mm512_set1_ps(1.0f);
            _mm512_mask_storeu_ps(static_cast<float*>(job.y) + at, mask,
                                  _mm512_fmadd_ps(sum, scale, residual));
            break;
        }
    }
}

// A row's 32 gates and 32 ups -> 32 outputs. Biases stand in the order of the panel's outputs.
inline void finish_swiglu(const GemmJob& job, int64_t row, int64_t i_panel, __m512* sums) {
    constexpr int64_t kHalf = kPanelWidth / 2;
    const int64_t width = job.n_out / 2;
    for (int v = 0; v < kVectors / 2; ++v) {
        const int64_t column = i_panel * kHalf + v * 16;
        const __mmask16 mask = tail_mask(width - column);
        if (mask == 0) return;
        __m512 gate = sums[v], up = sums[v + kVectors / 2];
        if (job.bias != nullptr) {
            const float* bias = job.bias + i_panel * kPanelWidth + v * 16;
            gate = _mm512_add_ps(gate, _mm512_loadu_ps(bias));
            up = _mm512_add_ps(up, _mm512_loadu_ps(bias + kHalf));
        }
        store_bf16(static_cast<uint16_t*>(job.y) + row * width + column, mask,
                   _mm512_mul_ps(silu_ps(gate), up));
    }
}

// Rows [first, first + kN) against one panel.
template <int kN>
void block(const GemmJob& job, int64_t first, int64_t i_panel, const uint16_t* panel) {
    Sums sums;
    clear(sums);
    const int64_t n_pairs = pair_count(job.n_in);
    multiply<kN>(job.x + first * job.n_in, job.n_in, panel, n_pairs, sums);
    for (int r = 0; r < kN; ++r) {
        if (job.epilogue == Epilogue::swiglu_bf16) {
            finish_swiglu(job, first + r, i_panel, sums[r]);
            continue;
        }
        for (int v = 0; v < kVectors; ++v) {
            finish(job, first + r, i_panel * kPanelWidth + v * 16, sums[r][v]);
        }
    }
}

}  // namespace

void gemm_bf16(const GemmJob& job, int ith, int nth) {
    // Work is counted in (panel, group of rows) so that many threads find enough of it; a thread's
    // share is consecutive, so a panel stays in its cache.
    constexpr int64_t kGroup = 32 * kRows;
    const int64_t n_panels = panel_count(job.n_out);
    const int64_t n_groups = (job.n_rows + kGroup - 1) / kGroup;
    const int64_t n_items = n_panels * n_groups;
    const int64_t begin = n_items * ith / nth, end = n_items * (ith + 1) / nth;
    for (int64_t item = begin; item < end; ++item) {
        const int64_t first = item % n_groups * kGroup, i_panel = item / n_groups;
        const uint16_t* panel = job.panels + i_panel * pair_count(job.n_in) * kPanelWidth * 2;
        const int64_t last = first + kGroup < job.n_rows ? first + kGroup : job.n_rows;
        for_row_blocks(last - first, [&](auto rows, int64_t row) {
            block<decltype(rows)::value>(job, first + row, i_panel, panel);
        });
    }
}

void gemm_bf16_panel(const GemmJob& job, int64_t i_panel, const uint16_t* panel) {
    for_row_blocks(job.n_rows, [&](auto rows, int64_t row) {
        block<decltype(rows)::value>(job, row, i_panel, panel);
    });
}

void pack_panel_bf16(const uint16_t* rows, int64_t n_in, uint16_t* panel) {
    const int64_t n_pairs = n_in / 2;
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    const __m512i offsets = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(static_cast<int>(n_pairs)));
    for (int v = 0; v < kVectors; ++v) {
        const uint16_t* group = rows + v * 16 * n_in;
        for (int64_t i = 0; i < n_pairs; ++i) {
            const __m512i pairs = _mm512_i32gather_epi32(offsets, group + 2 * i, 4);
            _mm512_storeu_si512(panel + i * kPanelWidth * 2 + v * 32, pairs);
        }
    }
}

void round_bf16(const float* x, int64_t n, uint16_t* y) {
    for (int64_t i = 0; i < n; i += 16) {
        const __mmask16 mask = tail_mask(n - i);
        store_bf16(y + i, mask, _mm512_maskz_loadu_ps(mask, x + i));
    }
}

void norm_bf16(const NormJob& job, int ith, int nth) {
    const int64_t begin = job.n_rows * ith / nth, end = job.n_rows * (ith + 1) / nth;
    const float n = static_cast<float>(job.width);
    for (int64_t row = begin; row < end; ++row) {
        const float* x = job.x + row * job.width;
        __m512 mean = _mm512_setzero_ps();
        if (job.subtract_mean) {
            __m512 sum = _mm512_setzero_ps();
            for (int64_t i = 0; i < job.width; i += 16) {
                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(tail_mask(job.width - i), x + i));
            }
            mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / n);
        }
        __m512 squares = _mm512_setzero_ps();
        for (int64_t i = 0; i < job.width; i += 16) {
            const __mmask16 mask = tail_mask(job.width - i);
            const __m512 d = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, x + i), mean);
            squares = _mm512_fmadd_ps(d, d, squares);
        }
        const float variance = _mm512_reduce_add_ps(squares) / n;
        const __m512 scale = _mm512_div_ps(_mm512_set1_ps(1.0f),
                                           _mm512_sqrt_ps(_mm512_set1_ps(variance + job.epsilon)));
        for (int64_t i = 0; i < job.width; i += 16) {
            const __mmask16 mask = tail_mask(job.width - i);
            __m512 v =
                _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + i), mean), scale);
            v = _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, job.weight + i));
            if (job.bias != nullptr) {
                v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(mask, job.bias + i));
            }
            store_bf16(job.y + row * job.width + i, mask, v);
        }
    }
}

}  // namespace crispvl::kernels
