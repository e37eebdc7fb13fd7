#include "kernels/cpu.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "kernels/cpu_features.h"

namespace crispvl::kernels {
namespace {

#if defined(CRISPVL_X86_KERNELS)
constexpr bool kCompiled = true;
#else
constexpr bool kCompiled = false;
#endif

bool has_avx512_and(const char* extension) {
    const std::vector<std::string> found = cpu_features();
    const std::initializer_list<const char*> needed{"avx512f", "avx512bw", "avx512vl", "avx512dq",
                                                    extension};
    return kCompiled && std::all_of(needed.begin(), needed.end(), [&](const char* name) {
               return std::find(found.begin(), found.end(), name) != found.end();
           });
}

}  // namespace

bool has_avx512_bf16() {
    static const bool supported = has_avx512_and("avx512bf16");
    return supported;
}

bool has_avx512_vnni() {
    static const bool supported = has_avx512_and("avx512vnni");
    return supported;
}

}  // namespace crispvl::kernels
