// Which of our kernels this machine can run. Asked once, at load.
#pragma once

namespace crispvl::kernels {

// AVX-512 F, BW, VL, DQ and BF16, and the operating system saves the registers.
bool has_avx512_bf16();
// AVX-512 F, BW, VL, DQ and VNNI.
bool has_avx512_vnni();

}  // namespace crispvl::kernels
