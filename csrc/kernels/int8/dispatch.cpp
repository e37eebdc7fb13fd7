// Chooses the 8-bit kernels of the running machine. Where there are none, nothing is called,
// because int8_kernels_name says so.
#include "kernels/int8/kernels.h"

#include <cstdlib>

#include "kernels/cpu.h"
#include "kernels/int8/table.h"

namespace crispvl::kernels {
namespace {

const Int8Kernels* chosen() {
#if defined(CRISPVL_X86_KERNELS)
    if (has_avx512_vnni()) return &kInt8Avx512;
    if (has_avxvnni()) return &kInt8AvxVnni;
    if (has_avx2()) return &kInt8Avx2;
#elif defined(CRISPVL_ARM_KERNELS)
    if (has_i8mm()) return &kInt8I8mm;
    if (has_dotprod()) return &kInt8Dotprod;
#endif
    return nullptr;
}

const Int8Kernels& table() {
    const Int8Kernels* found = chosen();
    if (found == nullptr) std::abort();
    return *found;
}

}  // namespace

const char* int8_kernels_name() {
    const Int8Kernels* found = chosen();
    return found != nullptr ? found->name : nullptr;
}

void rows_product(const RowsJob& job, int64_t begin, int64_t end) {
    table().rows_product(job, begin, end);
}
void quantise_rows(const QuantiseJob& job, int ith, int nth) {
    table().quantise_rows(job, ith, nth);
}
void quantise_bf16_rows(const uint16_t* x, int64_t n_rows, int64_t n_in, void* y, int ith,
                        int nth) {
    table().quantise_bf16_rows(x, n_rows, n_in, y, ith, nth);
}
void pack_panel_int8(const void* rows, size_t row_bytes, int64_t n_rows, int64_t n_in,
                     void* panel) {
    table().pack_panel(rows, row_bytes, n_rows, n_in, panel);
}
void gemm_int8(const Int8GemmJob& job, const void* panels, int ith, int nth) {
    table().gemm(job, panels, ith, nth);
}
void gemm_int8_columns(const Int8GemmJob& job, const Int8Columns& columns, int64_t i_columns,
                       void* scratch) {
    table().gemm_columns(job, columns, i_columns, scratch);
}

}  // namespace crispvl::kernels
