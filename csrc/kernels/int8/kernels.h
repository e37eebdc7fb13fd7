// 8-bit kernels: weights in the blocks of their GGUF types times activations rounded to 8 bits,
// summed in integers within a block and in F32 between blocks: by fours on VNNI (`vpdpbusd`), by
// pairs on AVX2.
// Plain pointers and sizes only, as in bf16/kernels.h.
//
// Activations are rounded in blocks of 32 inputs; a rounded row is its blocks, padded to 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace crispvl::kernels {

// The instruction set of the kernels that this machine runs, as "avx512_vnni"; null: there are
// none.
const char* int8_kernels_name();

inline constexpr int64_t kQuantBlock = 32;

struct QuantisedBlock {
    int8_t values[kQuantBlock];  // x = scale * value
    float scale;
    float sum;               // scale times the sum of the values: for weights with minima
    int32_t start;           // -128 times that sum: for weights that are stored with an offset
    int32_t half_starts[2];  // of inputs 0 to 15 and 16 to 31
};

inline constexpr int64_t quantised_row_bytes(int64_t n_in) {
    const int64_t n_bytes = n_in / kQuantBlock * static_cast<int64_t>(sizeof(QuantisedBlock));
    return (n_bytes + 63) / 64 * 64;
}
inline const QuantisedBlock* quantised_row(const void* rows, int64_t n_in, int64_t i_row) {
    return reinterpret_cast<const QuantisedBlock*>(static_cast<const char*>(rows) +
                                                   i_row * quantised_row_bytes(n_in));
}
inline QuantisedBlock* quantised_row(void* rows, int64_t n_in, int64_t i_row) {
    return const_cast<QuantisedBlock*>(quantised_row(static_cast<const void*>(rows), n_in, i_row));
}

// The weight types that the products read. The first five have blocks of 32 inputs, the K types
// blocks of 256; `panels` are Q8_0 rows laid out beforehand (pack_panel_int8), of whose bytes each
// row counts as a 16th; the others have no blocks, and they are multiplied by F32 activations.
enum class RowType { q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k, panels, f16, bf16, f32 };

inline constexpr bool is_quantised(RowType type) {
    return type < RowType::f16;
}

// What happens to a sum on its way to memory.
enum class RowEpilogue {
    store,     // sum + bias
    residual,  // residual + sum + bias
    swiglu,    // silu(gate) * up: the job has the gates' rows and the ups'
};

// ---- few rows, weights read where they are ------------------------------------------------------

// y = W x for a few rows of x, the weights read once where they are.
struct RowsJob {
    RowType type;
    const void* weights;     // [n_out rows], each `row_bytes` after the other
    const void* up_weights;  // swiglu: the second matrix, of the same type and shape; else null
    size_t row_bytes;
    const float* bias;     // [n_out] or null
    const float* up_bias;  // [n_out] or null
    const void* x;         // n_tokens rounded rows, or F32 [n_tokens, n_in] for float types
    int64_t n_tokens, n_in;
    RowEpilogue epilogue;
    float* y;  // y[token * y_stride + row]
    int64_t y_stride;
    const float* residual;  // as y
};

// Computes rows [begin, end) of W; of panels whole ones, up to the last row.
void rows_product(const RowsJob& job, int64_t begin, int64_t end);

// Rounds rows, after a norm where there is one.
struct QuantiseJob {
    const float* x;  // F32 [n_rows, n_in], n_in a multiple of 32
    int64_t n_rows, n_in;
    const float* weight;  // [n_in], of the norm; null: none
    const float* bias;    // [n_in] or null
    float epsilon;
    bool subtract_mean;  // LayerNorm; false: RMSNorm
    void* y;             // n_rows rounded rows
};

// Computes the share of thread `ith` of `nth`.
void quantise_rows(const QuantiseJob& job, int ith, int nth);
// Rounds BF16 [n_rows, n_in].
void quantise_bf16_rows(const uint16_t* x, int64_t n_rows, int64_t n_in, void* y, int ith, int nth);

// ---- many rows, weights packed beforehand -------------------------------------------------------
//
// A packed matrix W [n_out, n_in] is laid out in panels of 16 outputs (int8/panel.h); the last
// panel repeats its last output.

inline constexpr int64_t kInt8PanelOutputs = 16;

inline constexpr int64_t int8_panel_bytes(int64_t n_in) {
    return kInt8PanelOutputs * (n_in + n_in / kQuantBlock * static_cast<int64_t>(sizeof(float)));
}
inline constexpr int64_t int8_packed_bytes(int64_t n_out, int64_t n_in) {
    return (n_out + kInt8PanelOutputs - 1) / kInt8PanelOutputs * int8_panel_bytes(n_in);
}

// Q8_0 rows [n_rows up to 16, n_in] -> one panel.
void pack_panel_int8(const void* rows, size_t row_bytes, int64_t n_rows, int64_t n_in, void* panel);

struct Int8GemmJob {
    const void* x;  // rounded rows
    int64_t n_rows, n_in, n_out;
    const float* bias;  // [n_out] or null
    Epilogue epilogue;
    void* y;                // F32 or BF16 [n_rows, n_out], or rounded rows (n_out a multiple of 32)
    const float* residual;  // F32 [n_rows, n_out]
    const float* scale;     // F32 [n_out] or null for 1
};

// Computes the share of thread `ith` of `nth`; not for swiglu.
void gemm_int8(const Int8GemmJob& job, const void* panels, int ith, int nth);

// ---- many rows, weights unpacked where they are needed ------------------------------------------

// Outputs [i * kInt8Columns, …) of a product: 32 rows of W, and with swiglu, where W are the gates,
// the 32 of the ups.
inline constexpr int64_t kInt8Columns = 2 * kInt8PanelOutputs;

struct Int8Columns {
    RowType type;      // a quantised one
    const void* rows;  // `n_rows` up to 32, each `row_bytes` after the other
    const void* ups;   // swiglu: as many, of the same type; else null
    size_t row_bytes;
    int64_t n_rows;
    const float* up_bias;  // [n_out] or null; `bias` of the job is the gates'
};

// Bytes that a thread unpacks weights to, aligned to 64.
inline constexpr int64_t int8_columns_bytes(int64_t n_in) {
    // Four panels with a scale for every 16 inputs and a minimum for every 32.
    return 4 * kInt8PanelOutputs * (n_in + n_in / 16 * 4 + n_in / kQuantBlock * 4);
}

// Computes outputs [i_columns * 32, …) of all rows.
void gemm_int8_columns(const Int8GemmJob& job, const Int8Columns& columns, int64_t i_columns,
                       void* scratch);

}  // namespace crispvl::kernels
