// 8-bit kernels: weights in the blocks of their GGUF types times activations rounded to 8 bits,
// summed in 32-bit integers within a block and in F32 between blocks (AVX-512 VNNI, `vpdpbusd`).
// Plain pointers and sizes only, as in bf16_kernels.h.
//
// Activations are rounded in blocks of 32: x = scale * q, q a signed byte. A rounded row lies as
// bytes [n_in]; scales F32 [n_in / 32]; for weights that are stored with an offset, starts I32
// [n_in / 32], each -128 times a block's sum of q; for weights with minima, sums F32 [n_in / 32], a
// block's scale times that sum; and starts I32 of half blocks, [n_in / 16].
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispvl::kernels {

inline constexpr int64_t kQuantBlock = 32;

inline constexpr int64_t quantised_row_bytes(int64_t n_in) {
    const int64_t n_bytes = n_in + n_in / kQuantBlock * 5 * 4;
    return (n_bytes + 63) / 64 * 64;
}

// The weight types that rows_product reads. The first six have blocks of 32 inputs, the K types
// blocks of 256; the others no blocks, and they are multiplied by F32 activations.
enum class RowType { q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k, f16, bf16, f32 };

inline constexpr bool is_quantised(RowType type) {
    return type < RowType::f16;
}

// What happens to a sum on its way to memory.
enum class RowEpilogue {
    store,     // sum + bias
    residual,  // residual + sum + bias
    swiglu,    // silu(gate) * up: the job has the gates' rows and the ups'
};

// ---- few rows, weights read where they lie ------------------------------------------------------

// y = W x for a few rows of x, the weights read once where they lie.
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

// Computes rows [begin, end) of W.
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
// A packed matrix W [n_out, n_in] lies in panels of 16 outputs (int8_panel_avx512.h); the last
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

enum class Int8Epilogue {
    store_bf16,
    residual_f32,    // residual + scale * y
    gelu_quantised,  // exact GELU, rounded to 8 bits again
};

struct Int8GemmJob {
    const void* x;  // rounded rows
    int64_t n_rows, n_in, n_out;
    const void* panels;
    const float* bias;  // [n_out]
    Int8Epilogue epilogue;
    void* y;                // BF16 or F32 [n_rows, n_out], or rounded rows (n_out a multiple of 32)
    const float* residual;  // F32 [n_rows, n_out]
    const float* scale;     // F32 [n_out] or null for 1
};

void gemm_int8(const Int8GemmJob& job, int ith, int nth);

}  // namespace crispvl::kernels
