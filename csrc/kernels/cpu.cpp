#include "kernels/cpu.h"

#include <algorithm>
#include <initializer_list>

#include "kernels/cpu_features.h"

namespace crispvl::kernels {
namespace {

#if defined(CRISPVL_X86_KERNELS) || defined(CRISPVL_ARM_KERNELS)
constexpr bool kCompiled = true;
#else
constexpr bool kCompiled = false;
#endif

struct Cpu {
    bool avx512_bf16, avx512_vnni, avx2, avxvnni;
    bool neon, dotprod, i8mm;

    explicit Cpu(const std::vector<std::string>& features) {
        const auto has = [&](std::initializer_list<const char*> needed) {
            return kCompiled && std::all_of(needed.begin(), needed.end(), [&](const char* name) {
                       return std::find(features.begin(), features.end(), name) != features.end();
                   });
        };
        const bool avx512 = has({"avx512f", "avx512bw", "avx512vl", "avx512dq"});
        avx512_bf16 = avx512 && has({"avx512bf16"});
        avx512_vnni = avx512 && has({"avx512vnni"});
        avx2 = has({"avx2", "fma", "f16c"});
        avxvnni = avx2 && has({"avxvnni"});
        neon = has({"neon"});
        dotprod = neon && has({"dotprod"});
        i8mm = dotprod && has({"i8mm"});
    }
};

Cpu& cpu() {
    static Cpu found(cpu_features());
    return found;
}

}  // namespace

bool has_avx512_bf16() {
    return cpu().avx512_bf16;
}

bool has_avx512_vnni() {
    return cpu().avx512_vnni;
}

bool has_avx2() {
    return cpu().avx2;
}

bool has_avxvnni() {
    return cpu().avxvnni;
}

bool has_neon() {
    return cpu().neon;
}

bool has_dotprod() {
    return cpu().dotprod;
}

bool has_i8mm() {
    return cpu().i8mm;
}

void limit_features(const std::vector<std::string>& features) {
    std::vector<std::string> both;
    for (const std::string& name : cpu_features()) {
        if (std::find(features.begin(), features.end(), name) != features.end()) {
            both.push_back(name);
        }
    }
    cpu() = Cpu(both);
}

}  // namespace crispvl::kernels
