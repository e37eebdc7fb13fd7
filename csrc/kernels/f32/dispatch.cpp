// Chooses the F32 kernels of the running machine.
#include "kernels/cpu.h"
#include "kernels/f32/kernels.h"
#include "kernels/f32/table.h"

namespace crispvl::kernels {
namespace {

const F32Kernels& table() {
#if defined(CRISPVL_X86_KERNELS)
    if (has_avx512_bf16() || has_avx512_vnni()) return kF32Avx512;
    if (has_avx2()) return kF32Avx2;
#elif defined(CRISPVL_ARM_KERNELS)
    if (has_neon()) return kF32Neon;
#endif
    return kF32Plain;
}

}  // namespace

RowSummary summarise_row(const float* x, int64_t n) {
    return table().summarise_row(x, n);
}

}  // namespace crispvl::kernels
