#include "kernels/bf16/attention.h"
#include "kernels/bf16/cached_attention.h"
#include "kernels/bf16/gemm.h"
#include "kernels/bf16/table.h"

namespace crispvl::kernels {

const Bf16Kernels kBf16Neon = {
    "neon",    gemm,           gemm_panel, pack_panel,       round_rows,    round_halves,
    norm_rows, Scratch::bytes, attention,  causal_attention, attend_caches,
};

}  // namespace crispvl::kernels
