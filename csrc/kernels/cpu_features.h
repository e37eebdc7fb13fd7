// The instruction sets of the running machine, by the compilers' names for them: "avx2",
// "avx512bf16", "dotprod". One that the operating system does not save the registers of is absent.
#pragma once

#include <string>
#include <vector>

namespace crispvl::kernels {

std::vector<std::string> cpu_features();

}  // namespace crispvl::kernels
