// Chooses the BF16 kernels of the running machine. Where there are none, nothing is called, because
// bf16_kernels_name says so.
#include "kernels/bf16/kernels.h"

#include <cstdlib>

#include "kernels/bf16/table.h"
#include "kernels/cpu.h"

namespace crispvl::kernels {
namespace {

const Bf16Kernels* chosen() {
#if defined(CRISPVL_X86_KERNELS)
    if (has_avx512_bf16()) return &kBf16Avx512;
    if (has_avx2()) return &kBf16Avx2;
#elif defined(CRISPVL_ARM_KERNELS)
    if (has_neon()) return &kBf16Neon;
#endif
    return nullptr;
}

const Bf16Kernels& table() {
    const Bf16Kernels* found = chosen();
    if (found == nullptr) std::abort();
    return *found;
}

}  // namespace

const char* bf16_kernels_name() {
    const Bf16Kernels* found = chosen();
    return found != nullptr ? found->name : nullptr;
}

void gemm_bf16(const GemmJob& job, int ith, int nth) {
    table().gemm(job, ith, nth);
}
void gemm_bf16_panel(const GemmJob& job, int64_t i_panel, const uint16_t* panel) {
    table().gemm_panel(job, i_panel, panel);
}
void pack_panel_bf16(const uint16_t* rows, int64_t n_in, uint16_t* panel) {
    table().pack_panel(rows, n_in, panel);
}
void round_bf16(const float* x, int64_t n, uint16_t* y) {
    table().round(x, n, y);
}
void round_f16(const uint16_t* x, int64_t n, uint16_t* y) {
    table().round_f16(x, n, y);
}
void norm_bf16(const NormJob& job, int ith, int nth) {
    table().norm(job, ith, nth);
}
size_t attention_scratch_bytes(const AttentionJob& job) {
    return table().attention_scratch_bytes(job.n_tokens, job.d_head);
}
void attention_bf16(const AttentionJob& job, void* scratch, int ith, int nth) {
    table().attention(job, scratch, ith, nth);
}
size_t attention_scratch_bytes(const CausalAttentionJob& job) {
    return table().attention_scratch_bytes(job.n_past + job.n_new, job.d_head);
}
void attention_bf16(const CausalAttentionJob& job, void* scratch, int ith, int nth) {
    table().causal_attention(job, scratch, ith, nth);
}
void cached_attention(const CachedAttentionJob& job, int ith, int nth) {
    table().cached_attention(job, ith, nth);
}

}  // namespace crispvl::kernels
