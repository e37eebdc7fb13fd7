// Float rows into the panels of bf16_kernels.h.
#pragma once

#include <cstdint>

namespace crispvl::kernels {

// Rounds to nearest even, as the hardware does. NaN stays NaN.
uint16_t to_bf16(float value);
float from_bf16(uint16_t value);

// Writes row `i_out` of W [n_out, n_in]. Panels start zeroed; rows may be packed concurrently.
void pack_row(const float* row, int64_t n_in, int64_t i_out, uint16_t* panels);

}  // namespace crispvl::kernels
