#include "kernels/bf16_attention.h"
#include "kernels/bf16_gemm.h"
#include "kernels/bf16_table.h"
#include "kernels/cached_attention.h"

namespace crispvl::kernels {

const Bf16Kernels kBf16Avx2 = {
    "avx2",    gemm,           gemm_panel, pack_panel,       round_rows,    round_halves,
    norm_rows, Scratch::bytes, attention,  causal_attention, attend_caches,
};

}  // namespace crispvl::kernels
