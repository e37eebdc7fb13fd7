// Y = X W^T for BF16, blocked for registers: the sums of 6 rows by 64 outputs stay near while pairs
// of inputs stream by (the blocking of Goto and van de Geijn, ACM TOMS 34(3), 2008). Compiled once
// per instruction set.
#pragma once

#include <cmath>

#include "kernels/bf16/block.h"
#include "kernels/simd/math.h"
#include "kernels/simd/transpose.h"

namespace crispvl::kernels {
namespace {

// One vector of 16 finished sums on its way to memory.
inline void finish(const GemmJob& job, int64_t row, int64_t column, Floats sum) {
    const int64_t n = job.n_out - column;
    if (n <= 0) return;
    if (job.bias != nullptr) sum = add(sum, load_first(n, job.bias + column));
    const int64_t at = row * job.n_out + column;
    switch (job.epilogue) {
        case Epilogue::store_f32:
            store_first(n, static_cast<float*>(job.y) + at, sum);
            break;
        case Epilogue::store_bf16:
            store_bf16_first(n, static_cast<uint16_t*>(job.y) + at, sum);
            break;
        case Epilogue::gelu:
            store_bf16_first(n, static_cast<uint16_t*>(job.y) + at, gelu_ps(sum));
            break;
        case Epilogue::swiglu:
            break;  // finish_swiglu
        case Epilogue::residual_f32: {
            const Floats residual = load_first(n, job.residual + at);
            const Floats scale =
                job.scale != nullptr ? load_first(n, job.scale + column) : splat(1.0f);
            store_first(n, static_cast<float*>(job.y) + at, fma(sum, scale, residual));
            break;
        }
    }
}

// A row's 32 gates and 32 ups -> 32 outputs. Biases come in the order of the panel's outputs.
inline void finish_swiglu(const GemmJob& job, int64_t row, int64_t i_panel, Floats* sums) {
    constexpr int64_t kHalf = kPanelWidth / 2;
    const int64_t width = job.n_out / 2;
    for (int v = 0; v < kVectors / 2; ++v) {
        const int64_t column = i_panel * kHalf + v * 16;
        if (column >= width) return;
        Floats gate = sums[v], up = sums[v + kVectors / 2];
        if (job.bias != nullptr) {
            const float* bias = job.bias + i_panel * kPanelWidth + v * 16;
            gate = add(gate, load(bias));
            up = add(up, load(bias + kHalf));
        }
        store_bf16_first(width - column, static_cast<uint16_t*>(job.y) + row * width + column,
                         mul(silu_ps(gate), up));
    }
}

// Rows [first, first + kN) against one panel.
template <int kN>
void block(const GemmJob& job, int64_t first, int64_t i_panel, const uint16_t* panel) {
    Sums sums;
    clear(sums);
    const int64_t n_pairs = pair_count(job.n_in);
    if (job.epilogue == Epilogue::residual_f32) {
        fetch_ahead(job.residual + first * job.n_out + i_panel * kPanelWidth, job.n_out, kN,
                    kPanelWidth);
    }
    multiply<kN>(job.x + first * job.n_in, job.n_in, panel, n_pairs, sums);
    for (int r = 0; r < kN; ++r) {
        if (job.epilogue == Epilogue::swiglu) {
            finish_swiglu(job, first + r, i_panel, sums[r]);
            continue;
        }
        for (int v = 0; v < kVectors; ++v) {
            finish(job, first + r, i_panel * kPanelWidth + v * 16, sums[r][v]);
        }
    }
}

void gemm(const GemmJob& job, int ith, int nth) {
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

void gemm_panel(const GemmJob& job, int64_t i_panel, const uint16_t* panel) {
    for_row_blocks(job.n_rows, [&](auto rows, int64_t row) {
        block<decltype(rows)::value>(job, row, i_panel, panel);
    });
}

void pack_panel(const uint16_t* rows, int64_t n_in, uint16_t* panel) {
    const int64_t n_pairs = n_in / 2;
    for (int64_t first = 0; first < kPanelWidth; first += 16) {
        const uint16_t* group = rows + first * n_in;
        uint16_t* out = panel + first * 2;
        int64_t i = 0;
        for (; i + 8 <= n_pairs; i += 8) {
            Bits pairs[8];
            transpose_eight_words([&](int row) { return group + row * n_in + 2 * i; }, pairs);
            for (int k = 0; k < 8; ++k) store_bits(out + (i + k) * kPanelWidth * 2, pairs[k]);
        }
        for (; i < n_pairs; ++i) {
            for (int64_t r = 0; r < 16; ++r) {
                uint16_t* pair = out + i * kPanelWidth * 2 + r * 2;
                pair[0] = group[r * n_in + 2 * i];
                pair[1] = group[r * n_in + 2 * i + 1];
            }
        }
    }
}

void round_rows(const float* x, int64_t n, uint16_t* y) {
    for (int64_t i = 0; i < n; i += 16) store_bf16_first(n - i, y + i, load_first(n - i, x + i));
}

void round_halves(const uint16_t* x, int64_t n, uint16_t* y) {
    for (; n >= 16; n -= 16, x += 16, y += 16) store_bf16(y, load_f16(x));
    uint16_t rest[16] = {};
    for (int64_t i = 0; i < n; ++i) rest[i] = x[i];
    store_bf16_first(n, y, load_f16(rest));
}

// The mean of f(16 numbers of the row); lanes past its end count as zero.
template <typename F>
inline float mean_of(const float* x, int64_t width, const F& f) {
    Floats sum = splat(0.0f);
    for (int64_t i = 0; i < width; i += 16) {
        sum = add(sum, keep_first(width - i, f(load_first(width - i, x + i)), splat(0.0f)));
    }
    return sum_of(sum) / static_cast<float>(width);
}

void norm_rows(const NormJob& job, int ith, int nth) {
    const int64_t begin = job.n_rows * ith / nth, end = job.n_rows * (ith + 1) / nth;
    for (int64_t row = begin; row < end; ++row) {
        const float* x = job.x + row * job.width;
        const auto same = [](Floats v) { return v; };
        const Floats mean = splat(job.subtract_mean ? mean_of(x, job.width, same) : 0.0f);
        const auto squared = [&](Floats v) { return mul(sub(v, mean), sub(v, mean)); };
        const float variance = mean_of(x, job.width, squared);
        const Floats scale = splat(1.0f / std::sqrt(variance + job.epsilon));
        for (int64_t i = 0; i < job.width; i += 16) {
            const int64_t n = job.width - i;
            Floats v = mul(sub(load_first(n, x + i), mean), scale);
            v = mul(v, load_first(n, job.weight + i));
            if (job.bias != nullptr) v = add(v, load_first(n, job.bias + i));
            store_bf16_first(n, job.y + row * job.width + i, v);
        }
    }
}

}  // namespace
}  // namespace crispvl::kernels
