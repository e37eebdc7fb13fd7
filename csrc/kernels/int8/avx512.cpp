#include "kernels/int8_gemm.h"
#include "kernels/int8_quantise.h"
#include "kernels/int8_rows.h"
#include "kernels/int8_table.h"

namespace crispvl::kernels {

const Int8Kernels kInt8Avx512 = {
    "avx512_vnni", product_of_rows, quantise, quantise_bf16, pack_panel, gemm, gemm_columns,
};

}  // namespace crispvl::kernels
