// The 8-bit kernels where no machine code of ours exists: never called, because cpu.h says so.
#include <cstdlib>

#include "kernels/int8_kernels.h"

#if !defined(CRISPVL_X86_KERNELS)

namespace crispvl::kernels {

void rows_product(const RowsJob&, int64_t, int64_t) {
    std::abort();
}
void quantise_rows(const QuantiseJob&, int, int) {
    std::abort();
}
void quantise_bf16_rows(const uint16_t*, int64_t, int64_t, void*, int, int) {
    std::abort();
}
void pack_panel_int8(const void*, size_t, int64_t, int64_t, void*) {
    std::abort();
}
void gemm_int8(const Int8GemmJob&, int, int) {
    std::abort();
}

}  // namespace crispvl::kernels

#endif
