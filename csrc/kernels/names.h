// The sets of our kernels that this machine runs.
#pragma once

#include <string>
#include <vector>

namespace crispvl::kernels {

// By instruction set: "avx512_bf16". Empty where there is only ggml.
std::vector<std::string> kernel_names();

}  // namespace crispvl::kernels
