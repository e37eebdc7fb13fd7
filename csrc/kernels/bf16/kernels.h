// BF16 kernels: products of BF16 numbers summed in F32, in pairs on AVX-512 BF16 (`vdpbf16ps`), as
// floats on AVX2. Plain pointers and sizes only, so that the files compiled for an instruction set
// share no inline code with the rest of the program.
//
// A packed matrix W [n_out, n_in] is laid out in panels of 64 outputs: panel, pair of inputs,
// output, input of the pair. The last panel and an odd last input are padded with zeros.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/epilogue.h"

namespace crispvl::kernels {

// The instruction set of the kernels that this machine runs, as "avx512_bf16"; null: there are
// none.
const char* bf16_kernels_name();

inline constexpr int64_t kPanelWidth = 64;

inline int64_t panel_count(int64_t n_out) {
    return (n_out + kPanelWidth - 1) / kPanelWidth;
}
inline int64_t pair_count(int64_t n_in) {
    return (n_in + 1) / 2;
}
inline int64_t packed_size(int64_t n_out, int64_t n_in) {
    return panel_count(n_out) * pair_count(n_in) * kPanelWidth * 2;
}

// With swiglu a panel's first 32 outputs are gates, its last 32 their ups.
struct GemmJob {
    const uint16_t* x;  // BF16 [n_rows, n_in], n_in even
    int64_t n_rows, n_in, n_out;
    const uint16_t* panels;
    const float* bias;  // [n_out] or null
    Epilogue epilogue;
    void* y;                // F32 or BF16 [n_rows, n_out]; swiglu: [n_rows, n_out / 2]
    const float* residual;  // F32 [n_rows, n_out]
    const float* scale;     // F32 [n_out] or null for 1
};

// Computes the share of thread `ith` of `nth`.
void gemm_bf16(const GemmJob& job, int ith, int nth);
// Computes the outputs of one panel by itself; `job.panels` is not looked at.
void gemm_bf16_panel(const GemmJob& job, int64_t i_panel, const uint16_t* panel);

// BF16 rows [64, n_in], n_in even, -> one panel.
void pack_panel_bf16(const uint16_t* rows, int64_t n_in, uint16_t* panel);
void round_bf16(const float* x, int64_t n, uint16_t* y);
// F16 -> BF16
void round_f16(const uint16_t* x, int64_t n, uint16_t* y);

struct NormJob {
    const float* x;  // F32 [n_rows, width]
    int64_t n_rows, width;
    const float* weight;  // [width]
    const float* bias;    // [width] or null
    float epsilon;
    bool subtract_mean;  // LayerNorm; false: RMSNorm
    uint16_t* y;         // BF16 [n_rows, width]
};

void norm_bf16(const NormJob& job, int ith, int nth);

// Attention without a mask, all tokens of a tile seeing one another.
struct AttentionJob {
    const uint16_t* qkv;  // BF16 [n_tiles, n_tokens, 3 * n_heads * d_head]: queries, keys, values
    int64_t n_tiles, n_tokens, n_heads, d_head;  // d_head a multiple of 64
    uint16_t* y;                                 // BF16 [n_tiles, n_tokens, n_heads * d_head]
};

// Bytes of scratch that each thread needs, aligned to 64.
size_t attention_scratch_bytes(const AttentionJob& job);
void attention_bf16(const AttentionJob& job, void* scratch, int ith, int nth);

// Attention of new tokens over a KV cache: token i sees the n_past + i + 1 first ones, or the
// newest `window` of them.
struct CausalAttentionJob {
    const float* q;                                      // F32 [n_new, n_heads, d_head]
    const uint16_t* k;                                   // F16 [n_past + n_new, n_kv_heads, d_head]
    const uint16_t* v;                                   // the same
    int64_t n_past, n_new, n_heads, n_kv_heads, d_head;  // d_head a multiple of 64
    int64_t window;                                      // 0: all
    const float* sinks;  // [n_heads]: logits that take part in each softmax; null: none
    uint16_t* y;         // BF16 [n_new, n_heads, d_head]
};

size_t attention_scratch_bytes(const CausalAttentionJob& job);
void attention_bf16(const CausalAttentionJob& job, void* scratch, int ith, int nth);

// Attention of a few new tokens of several sequences, each over its own cache, in F32.
struct CachedSequence {
    const uint16_t* k;  // F16 [positions, n_kv_heads, d_head]
    const uint16_t* v;  // the same
    int64_t n_past, n_new;
    int64_t i_first;  // the first new token's row in q and y
};
struct CachedAttentionJob {
    const float* q;  // F32 [n_tokens, n_heads, d_head]
    const CachedSequence* sequences;
    int64_t n_sequences;
    int64_t n_heads, n_kv_heads, d_head;  // d_head a multiple of 16, at most kLargestCachedHead
    int64_t window;                       // newest keys that a query sees; 0: all
    const float* sinks;  // [n_heads]: logits that take part in each softmax; null: none
    float* y;            // F32 [n_tokens, n_heads, d_head]
};
inline constexpr int64_t kLargestCachedHead = 256;

void cached_attention(const CachedAttentionJob& job, int ith, int nth);

}  // namespace crispvl::kernels
