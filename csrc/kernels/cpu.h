// Which instructions our kernels may use on this machine. Asked at load.
#pragma once

#include <string>
#include <vector>

namespace crispvl::kernels {

// AVX-512 F, BW, VL, DQ and BF16, and the operating system saves the registers.
bool has_avx512_bf16();
// AVX-512 F, BW, VL, DQ and VNNI.
bool has_avx512_vnni();
// AVX2, FMA and F16C.
bool has_avx2();
// Those and AVX-VNNI.
bool has_avxvnni();
// The vectors of 64-bit ARM, which all such CPUs have.
bool has_neon();
// Those and the products of bytes of Armv8.4 (`sdot`).
bool has_dotprod();
// Those and the matrices of bytes of Armv8.6 (`usdot`, `usmmla`).
bool has_i8mm();

// From now on kernels are chosen as on a CPU that has these features at most; a model runs under
// the limit that it was loaded under. For tests and benchmarks of kernels that a better CPU would
// not run.
void limit_features(const std::vector<std::string>& features);

}  // namespace crispvl::kernels
