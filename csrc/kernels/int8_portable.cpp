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

}  // namespace crispvl::kernels

#endif
