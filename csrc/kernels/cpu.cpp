#include "kernels/cpu.h"

namespace crispvl::kernels {

#if defined(CRISPVL_X86_KERNELS)

bool has_avx512_bf16() {
    static const bool supported =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512bf16");
    return supported;
}

#else

bool has_avx512_bf16() {
    return false;
}

#endif

}  // namespace crispvl::kernels
