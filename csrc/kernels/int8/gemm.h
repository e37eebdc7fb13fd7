// Y = X W^T for bytes: the sums of a few rows by 32, 16 or 8 outputs stay in registers while quads
// of inputs stream by. Compiled once per instruction set.
#pragma once

#include "kernels/int8/formats.h"
#include "kernels/int8/multiply.h"
#include "kernels/int8/quantise.h"
#include "kernels/simd/math.h"

namespace crispvl::kernels {
namespace {

constexpr int kPanels = 2;       // of 16 outputs: a block of the rounded result
constexpr int64_t kGroup = 384;  // rows that meet a pair of panels before the next pair

// Two panels, and with swiglu two more.
struct Columns {
    PanelView panels[kPanels];
    PanelView ups[kPanels];
    const float* up_bias;
};

inline void store(const Int8GemmJob& job, int64_t at, int64_t column, int64_t n, Floats y) {
    if (job.epilogue == Epilogue::store_bf16) {
        store_bf16_first(n, static_cast<uint16_t*>(job.y) + at, y);
        return;
    }
    if (job.epilogue == Epilogue::residual_f32) {
        const Floats scale = job.scale != nullptr ? load_first(n, job.scale + column) : splat(1.0f);
        y = fma(y, scale, load_first(n, job.residual + at));
    }
    store_first(n, static_cast<float*>(job.y) + at, y);
}

// The 32 sums of one row on their way to memory; `ups` only for swiglu.
inline void finish(const Int8GemmJob& job, int64_t row, int64_t column, const float* up_bias,
                   Floats (&sums)[kPanels], Floats (&ups)[kPanels]) {
    for (int64_t p = 0; p < kPanels; ++p) {
        const int64_t at = column + p * kPanelOutputs;
        const int64_t n = job.n_out - at;
        sums[p] = with_bias(job.bias, at, n, sums[p]);
        if (job.epilogue == Epilogue::swiglu) {
            sums[p] = mul(silu_ps(sums[p]), with_bias(up_bias, at, n, ups[p]));
        } else if (job.epilogue == Epilogue::gelu) {
            sums[p] = gelu_ps(sums[p]);
        } else {
            store(job, row * job.n_out + at, at, n, sums[p]);
        }
    }
    if (job.epilogue == Epilogue::swiglu || job.epilogue == Epilogue::gelu) {
        quantise_block(sums[0], sums[1],
                       quantised_row(job.y, job.n_out, row)[column / kQuantBlock]);
    }
}

template <typename Format, int n>
void product(const PanelView* panels, int64_t n_in, const QuantisedBlock* const* x,
             Floats (&sums)[n][kPanels]) {
    for (int first = 0; first < kPanels; first += kPanelsAtOnce) {
        Floats totals[kPanelsAtOnce][n];
        for (int r = 0; r < n; ++r) {
            for (int p = 0; p < kPanelsAtOnce; ++p) totals[p][r] = splat(0.0f);
        }
        multiply<Format>(panels + first, n_in / kQuantBlock, x, totals);
        for (int r = 0; r < n; ++r) {
            for (int p = 0; p < kPanelsAtOnce; ++p) sums[r][first + p] = totals[p][r];
        }
    }
}

// Rows [first, first + n).
template <typename Format, int n>
void block(const Int8GemmJob& job, const Columns& columns, int64_t first, int64_t column) {
    const QuantisedBlock* x[n];
    Floats sums[n][kPanels], ups[n][kPanels] = {};
    for (int r = 0; r < n; ++r) x[r] = quantised_row(job.x, job.n_in, first + r);
    if (job.epilogue == Epilogue::residual_f32) {
        fetch_ahead(job.residual + first * job.n_out + column, job.n_out, n, kInt8Columns);
    }
    product<Format>(columns.panels, job.n_in, x, sums);
    if (job.epilogue == Epilogue::swiglu) product<Format>(columns.ups, job.n_in, x, ups);
    for (int r = 0; r < n; ++r) finish(job, first + r, column, columns.up_bias, sums[r], ups[r]);
}

template <typename Format>
void all_rows(const Int8GemmJob& job, const Columns& columns, int64_t first, int64_t last,
              int64_t column) {
    for (; first + kRows <= last; first += kRows) block<Format, kRows>(job, columns, first, column);
    for (; first + 2 <= last; first += 2) block<Format, 2>(job, columns, first, column);
    if (first < last) block<Format, 1>(job, columns, first, column);
}

// A panel of `n_in` inputs that begins at `p`: quads, scales, minima.
template <typename Format>
PanelSpace panel_at(char* p, int64_t n_in) {
    float (*scales)[kPanelOutputs] =
        reinterpret_cast<float (*)[kPanelOutputs]>(p + kPanelOutputs * n_in);
    return {reinterpret_cast<uint8_t (*)[64]>(p), scales, scales + n_in / 4 / Format::kQuads};
}

// Unpacks two panels and returns what follows them.
template <typename Format>
char* unpack_pair(const void* rows, const Int8Columns& columns, int64_t n_in, char* space,
                  PanelView* pair) {
    for (int p = 0; p < kPanels; ++p) {
        RowGroup group(
            {rows, columns.row_bytes, p * kPanelOutputs, columns.n_rows - p * kPanelOutputs});
        const PanelSpace panel = panel_at<Format>(space, n_in);
        unpack<Format>(group, n_in, panel);
        pair[p] = panel.view();
        space = reinterpret_cast<char*>(panel.minima + n_in / kQuantBlock);
    }
    return space;
}

template <typename Format>
void run(const Int8GemmJob& job, const Int8Columns& from, int64_t i_columns, char* space) {
    Columns columns{{}, {}, from.up_bias};
    space = unpack_pair<Format>(from.rows, from, job.n_in, space, columns.panels);
    if (from.ups != nullptr) unpack_pair<Format>(from.ups, from, job.n_in, space, columns.ups);
    all_rows<Format>(job, columns, 0, job.n_rows, i_columns * kInt8Columns);
}

// Panel `i_panel` of a packed matrix of `n_panels`, or the last one.
PanelView panel_of(const void* panels, int64_t n_in, int64_t i_panel, int64_t n_panels) {
    const int64_t i = i_panel < n_panels ? i_panel : n_panels - 1;
    return packed_panel(static_cast<const char*>(panels) + i * int8_panel_bytes(n_in), n_in);
}

// As run(), where nothing is left to unpack.
void run_packed(const Int8GemmJob& job, const Int8Columns& from, int64_t i_columns) {
    Columns columns{{}, {}, from.up_bias};
    const int64_t n_panels = (from.n_rows + kPanelOutputs - 1) / kPanelOutputs;
    for (int p = 0; p < kPanels; ++p) {
        columns.panels[p] = panel_of(from.rows, job.n_in, p, n_panels);
        if (from.ups != nullptr) columns.ups[p] = panel_of(from.ups, job.n_in, p, n_panels);
    }
    all_rows<Q8_0>(job, columns, 0, job.n_rows, i_columns * kInt8Columns);
}

void gemm(const Int8GemmJob& job, const void* panels, int ith, int nth) {
    // As in gemm_bf16: shares are consecutive, so that a pair of panels stays in its cache.
    const int64_t n_pairs = (job.n_out + kInt8Columns - 1) / kInt8Columns;
    const int64_t n_groups = (job.n_rows + kGroup - 1) / kGroup;
    const int64_t n_items = n_pairs * n_groups;
    const int64_t n_panels = (job.n_out + kPanelOutputs - 1) / kPanelOutputs;
    for (int64_t item = n_items * ith / nth; item < n_items * (ith + 1) / nth; ++item) {
        const int64_t i_pair = item / n_groups, first = item % n_groups * kGroup;
        const int64_t last = first + kGroup < job.n_rows ? first + kGroup : job.n_rows;
        const Columns columns{{panel_of(panels, job.n_in, kPanels * i_pair, n_panels),
                               panel_of(panels, job.n_in, kPanels * i_pair + 1, n_panels)},
                              {},
                              nullptr};
        all_rows<Q8_0>(job, columns, first, last, i_pair * kInt8Columns);
    }
}

void gemm_columns(const Int8GemmJob& job, const Int8Columns& columns, int64_t i_columns,
                  void* scratch) {
    if (columns.type == RowType::panels) return run_packed(job, columns, i_columns);
    char* space = static_cast<char*>(scratch);
    with_format(columns.type,
                [&](auto format) { run<decltype(format)>(job, columns, i_columns, space); });
}

void pack_panel(const void* rows, size_t row_bytes, int64_t n_rows, int64_t n_in, void* panel) {
    RowGroup group({rows, row_bytes, 0, n_rows});
    unpack<Q8_0>(group, n_in, panel_at<Q8_0>(static_cast<char*>(panel), n_in));
}

}  // namespace
}  // namespace crispvl::kernels
