// The F32 kernels of each instruction set; f32/kernels.h says what they do.
#pragma once

#include "kernels/f32/kernels.h"

namespace crispvl::kernels {

struct F32Kernels {
    RowSummary (*summarise_row)(const float* x, int64_t n);
};

extern const F32Kernels kF32Avx512, kF32Avx2, kF32Neon, kF32Plain;

}  // namespace crispvl::kernels
