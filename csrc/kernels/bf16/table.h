// The BF16 kernels of each instruction set; bf16/kernels.h says what they do.
#pragma once

#include "kernels/bf16/kernels.h"

namespace crispvl::kernels {

struct Bf16Kernels {
    const char* name;  // as Model::kernels tells it
    void (*gemm)(const GemmJob& job, int ith, int nth);
    void (*gemm_panel)(const GemmJob& job, int64_t i_panel, const uint16_t* panel);
    void (*pack_panel)(const uint16_t* rows, int64_t n_in, uint16_t* panel);
    void (*round)(const float* x, int64_t n, uint16_t* y);
    void (*round_f16)(const uint16_t* x, int64_t n, uint16_t* y);
    void (*norm)(const NormJob& job, int ith, int nth);
    size_t (*attention_scratch_bytes)(int64_t n_tokens, int64_t d_head);
    void (*attention)(const AttentionJob& job, void* scratch, int ith, int nth);
    void (*causal_attention)(const CausalAttentionJob& job, void* scratch, int ith, int nth);
    void (*cached_attention)(const CachedAttentionJob& job, int ith, int nth);
};

extern const Bf16Kernels kBf16Avx512, kBf16Avx2, kBf16Neon;

}  // namespace crispvl::kernels
