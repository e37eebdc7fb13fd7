#include "kernels/cpu.h"

namespace crispvl::kernels {

#if defined(CRISPVL_X86_KERNELS)

namespace {

bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

}  // namespace

bool has_avx512_bf16() {
    static const bool supported = has_avx512() && __builtin_cpu_supports("avx512bf16");
    return supported;
}

bool has_avx512_vnni() {
    static const bool supported = has_avx512() && __builtin_cpu_supports("avx512vnni");
    return supported;
}

#else

bool has_avx512_bf16() {
    return false;
}

bool has_avx512_vnni() {
    return false;
}

#endif

}  // namespace crispvl::kernels
