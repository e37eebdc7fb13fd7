// The 8-bit kernels of each instruction set; int8/kernels.h says what they do.
#pragma once

#include "kernels/int8/kernels.h"

namespace crispvl::kernels {

struct Int8Kernels {
    const char* name;  // as Model::kernels tells it
    void (*rows_product)(const RowsJob& job, int64_t begin, int64_t end);
    void (*quantise_rows)(const QuantiseJob& job, int ith, int nth);
    void (*quantise_bf16_rows)(const uint16_t* x, int64_t n_rows, int64_t n_in, void* y, int ith,
                               int nth);
    void (*pack_panel)(const void* rows, size_t row_bytes, int64_t n_rows, int64_t n_in,
                       void* panel);
    void (*gemm)(const Int8GemmJob& job, const void* panels, int ith, int nth);
    void (*gemm_columns)(const Int8GemmJob& job, const Int8Columns& columns, int64_t i_columns,
                         void* scratch);
};

extern const Int8Kernels kInt8Avx512, kInt8AvxVnni, kInt8Avx2, kInt8I8mm, kInt8Dotprod;

}  // namespace crispvl::kernels
