// Y = X W^T for bytes: 12 rows by 16 outputs stay in registers while quads of inputs stream by.
#include <cstring>

#include "kernels/avx512_epilogue.h"
#include "kernels/panel_formats_avx512.h"
#include "kernels/quantise_avx512.h"
#include "kernels/simd_math.h"

namespace crispvl::kernels {
namespace {

constexpr int kRows = 12;        // rows of x in a register block
constexpr int64_t kGroup = 384;  // rows that meet a pair of panels before the next pair
constexpr int64_t kPair = 2 * kPanelOutputs;  // outputs: a block of the rounded result

PanelView panel_at(const void* panels, int64_t n_in, int64_t i_panel) {
    const uint8_t* quads = static_cast<const uint8_t*>(panels) + i_panel * int8_panel_bytes(n_in);
    return {quads, reinterpret_cast<const float*>(quads + kPanelOutputs * n_in), nullptr};
}

inline __m512 finished(const Int8GemmJob& job, int64_t row, int64_t column, __mmask16 mask,
                       __m512 sum) {
    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, job.bias + column));
    if (job.epilogue != Int8Epilogue::residual_f32) return sum;
    const __m512 scale = job.scale != nullptr ? _mm512_maskz_loadu_ps(mask, job.scale + column)
                                              : _mm512_set1_ps(1.0f);
    const float* residual = job.residual + row * job.n_out + column;
    return _mm512_fmadd_ps(sum, scale, _mm512_maskz_loadu_ps(mask, residual));
}

// The sums of one row for a pair of panels.
inline void store(const Int8GemmJob& job, int64_t row, int64_t column, __m512 low, __m512 high) {
    if (job.epilogue == Int8Epilogue::gelu_quantised) {
        const __mmask16 all = 0xffff;
        quantise_block(gelu_ps(finished(job, row, column, all, low)),
                       gelu_ps(finished(job, row, column + 16, all, high)),
                       QuantisedRow(job.y, job.n_out, row).from(column / kQuantBlock));
        return;
    }
    const __m512 pair[] = {low, high};
    for (const __m512 sum : pair) {
        const __mmask16 mask = tail_mask(job.n_out - column);
        if (mask == 0) return;
        const __m512 y = finished(job, row, column, mask, sum);
        const int64_t at = row * job.n_out + column;
        if (job.epilogue == Int8Epilogue::store_bf16) {
            store_bf16(static_cast<uint16_t*>(job.y) + at, mask, y);
        } else {
            _mm512_mask_storeu_ps(static_cast<float*>(job.y) + at, mask, y);
        }
        column += kPanelOutputs;
    }
}

template <int n>
void block(const Int8GemmJob& job, int64_t first, int64_t i_pair) {
    QuantisedRow x[n];
    __m512 sums[2][n];
    for (int r = 0; r < n; ++r) x[r] = QuantisedRow(job.x, job.n_in, first + r);
    const int64_t n_panels = (job.n_out + kPanelOutputs - 1) / kPanelOutputs;
    for (int64_t side = 0; side < 2; ++side) {
        __m512 totals[n];
        for (int r = 0; r < n; ++r) totals[r] = _mm512_setzero_ps();
        if (2 * i_pair + side < n_panels) {
            multiply<n, Q8_0>(panel_at(job.panels, job.n_in, 2 * i_pair + side),
                              job.n_in / kQuantBlock, x, totals);
        }
        for (int r = 0; r < n; ++r) sums[side][r] = totals[r];
    }
    for (int r = 0; r < n; ++r) store(job, first + r, i_pair * kPair, sums[0][r], sums[1][r]);
}

}  // namespace

void gemm_int8(const Int8GemmJob& job, int ith, int nth) {
    // As in gemm_bf16: shares are consecutive, so that a pair of panels stays in its cache.
    const int64_t n_pairs = (job.n_out + kPair - 1) / kPair;
    const int64_t n_groups = (job.n_rows + kGroup - 1) / kGroup;
    const int64_t n_items = n_pairs * n_groups;
    for (int64_t item = n_items * ith / nth; item < n_items * (ith + 1) / nth; ++item) {
        const int64_t i_pair = item / n_groups;
        int64_t row = item % n_groups * kGroup;
        const int64_t last = row + kGroup < job.n_rows ? row + kGroup : job.n_rows;
        for (; row + kRows <= last; row += kRows) block<kRows>(job, row, i_pair);
        for (; row + 4 <= last; row += 4) block<4>(job, row, i_pair);
        for (; row < last; ++row) block<1>(job, row, i_pair);
    }
}

void pack_panel_int8(const void* rows, size_t row_bytes, int64_t n_rows, int64_t n_in,
                     void* panel) {
    RowGroup group(rows, row_bytes, 0, n_rows);
    PanelChunk chunk;
    char* quads = static_cast<char*>(panel);
    char* scales = quads + kPanelOutputs * n_in;
    for (int64_t i = 0; i < n_in / kQuantBlock; ++i) {
        Q8_0::unpack(group.rows, 0, chunk);
        group.advance(Q8_0::kBytes);
        constexpr size_t kQuadBytes = kBlockQuads * sizeof chunk.quads[0];
        std::memcpy(quads, chunk.quads, kQuadBytes);
        std::memcpy(scales, chunk.scales, sizeof chunk.scales[0]);
        quads += kQuadBytes;
        scales += sizeof chunk.scales[0];
    }
}

}  // namespace crispvl::kernels
