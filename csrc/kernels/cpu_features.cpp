#include "kernels/cpu_features.h"

#include <array>
#include <cstdint>

#if defined(__x86_64__) || defined(_M_X64)
#define CRISPVL_CPU_X86
#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#define CRISPVL_CPU_ARM_LINUX
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#define CRISPVL_CPU_ARM_APPLE
#include <sys/sysctl.h>
#endif

namespace crispvl::kernels {

#if defined(CRISPVL_CPU_X86)
namespace {

using Registers = std::array<uint32_t, 4>;  // eax, ebx, ecx, edx
constexpr int kEax = 0, kEbx = 1, kEcx = 2;

Registers cpuid(uint32_t leaf, uint32_t subleaf) {
    Registers r{};
#ifdef _MSC_VER
    int values[4];
    __cpuid(values, 0);
    if (static_cast<uint32_t>(values[0]) < leaf) return r;
    __cpuidex(values, static_cast<int>(leaf), static_cast<int>(subleaf));
    for (size_t i = 0; i < 4; ++i) r[i] = static_cast<uint32_t>(values[i]);
#else
    __get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]);  // zeros where there is no leaf
#endif
    return r;
}

// XCR0: which registers the operating system saves.
uint64_t saved_registers() {
    constexpr uint32_t kOsXsave = 1u << 27;
    if ((cpuid(1, 0)[kEcx] & kOsXsave) == 0) return 0;
#ifdef _MSC_VER
    return _xgetbv(0);
#else
    uint32_t low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
#endif
}

struct Feature {
    const char* name;
    uint32_t leaf, subleaf;
    int i_register, bit;
    uint64_t state;  // bits of XCR0 that it needs
};

constexpr uint64_t kNone = 0, kYmm = 0x6, kZmm = 0xe6;

// Intel's manual, volume 2A, CPUID; AMD's has the same bits.
constexpr Feature kFeatures[] = {
    {"sse4.2", 1, 0, kEcx, 20, kNone},   {"avx", 1, 0, kEcx, 28, kYmm},
    {"f16c", 1, 0, kEcx, 29, kYmm},      {"fma", 1, 0, kEcx, 12, kYmm},
    {"avx2", 7, 0, kEbx, 5, kYmm},       {"bmi2", 7, 0, kEbx, 8, kNone},
    {"avxvnni", 7, 1, kEax, 4, kYmm},    {"avx512f", 7, 0, kEbx, 16, kZmm},
    {"avx512cd", 7, 0, kEbx, 28, kZmm},  {"avx512vl", 7, 0, kEbx, 31, kZmm},
    {"avx512dq", 7, 0, kEbx, 17, kZmm},  {"avx512bw", 7, 0, kEbx, 30, kZmm},
    {"avx512vbmi", 7, 0, kEcx, 1, kZmm}, {"avx512vnni", 7, 0, kEcx, 11, kZmm},
    {"avx512bf16", 7, 1, kEax, 5, kZmm},
};

}  // namespace

std::vector<std::string> cpu_features() {
    const uint64_t saved = saved_registers();
    std::vector<std::string> names;
    for (const Feature& f : kFeatures) {
        const uint32_t value = cpuid(f.leaf, f.subleaf)[static_cast<size_t>(f.i_register)];
        if ((value >> f.bit & 1) != 0 && (saved & f.state) == f.state) names.emplace_back(f.name);
    }
    return names;
}

#elif defined(CRISPVL_CPU_ARM_LINUX)
namespace {

struct Feature {
    const char* name;
    unsigned long word;
    int bit;
};

// Linux, Documentation/arch/arm64/elf_hwcaps.rst.
constexpr Feature kFeatures[] = {
    {"neon", AT_HWCAP, 1}, {"fp16", AT_HWCAP, 10},  {"dotprod", AT_HWCAP, 20},
    {"sve", AT_HWCAP, 22}, {"i8mm", AT_HWCAP2, 13},
};

}  // namespace

std::vector<std::string> cpu_features() {
    std::vector<std::string> names;
    for (const Feature& f : kFeatures) {
        if ((getauxval(f.word) >> f.bit & 1) != 0) names.emplace_back(f.name);
    }
    return names;
}

#elif defined(CRISPVL_CPU_ARM_APPLE)
namespace {

struct Feature {
    const char* name;
    const char* setting;
};

// Apple, "Determining instruction set characteristics".
constexpr Feature kFeatures[] = {
    {"neon", "hw.optional.AdvSIMD"},
    {"fp16", "hw.optional.arm.FEAT_FP16"},
    {"dotprod", "hw.optional.arm.FEAT_DotProd"},
    {"i8mm", "hw.optional.arm.FEAT_I8MM"},
};

}  // namespace

std::vector<std::string> cpu_features() {
    std::vector<std::string> names;
    for (const Feature& f : kFeatures) {
        int32_t value = 0;
        size_t size = sizeof value;
        if (sysctlbyname(f.setting, &value, &size, nullptr, 0) == 0 && value != 0) {
            names.emplace_back(f.name);
        }
    }
    return names;
}

#else

std::vector<std::string> cpu_features() {
    return {};
}

#endif

}  // namespace crispvl::kernels
