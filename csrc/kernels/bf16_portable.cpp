// The BF16 kernels where no machine code of ours exists: never called, because cpu.h says so.
#include <cstdlib>

#include "kernels/bf16_kernels.h"

#if !defined(CRISPVL_X86_KERNELS)

namespace crispvl::kernels {

void gemm_bf16(const GemmJob&, int, int) {
    std::abort();
}
void gemm_bf16_panel(const GemmJob&, int64_t, const uint16_t*) {
    std::abort();
}
void pack_panel_bf16(const uint16_t*, int64_t, uint16_t*) {
    std::abort();
}
void round_bf16(const float*, int64_t, uint16_t*) {
    std::abort();
}
void norm_bf16(const NormJob&, int, int) {
    std::abort();
}
size_t attention_scratch_bytes(const AttentionJob&) {
    std::abort();
}
void attention_bf16(const AttentionJob&, void*, int, int) {
    std::abort();
}
size_t attention_scratch_bytes(const CausalAttentionJob&) {
    std::abort();
}
void attention_bf16(const CausalAttentionJob&, void*, int, int) {
    std::abort();
}

}  // namespace crispvl::kernels

#endif
