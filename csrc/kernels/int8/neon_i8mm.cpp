#include "kernels/int8/gemm.h"
#include "kernels/int8/quantise.h"
#include "kernels/int8/rows.h"
#include "kernels/int8/table.h"

namespace crispvl::kernels {

const Int8Kernels kInt8I8mm = {
    "neon_i8mm", product_of_rows, quantise, quantise_bf16, pack_panel, gemm, gemm_columns,
};

}  // namespace crispvl::kernels
