// Sixteen floats at once, by the instruction set that the including file is compiled for.
#pragma once

#if defined(__AVX512F__)
#include "kernels/simd/avx512.h"
#elif defined(__aarch64__)
#include "kernels/simd/neon.h"
#else
#include "kernels/simd/avx2.h"
#endif
#if defined(__AVX512F__) || defined(__AVXVNNI__)
#include "kernels/simd/vnni.h"
#elif defined(__ARM_FEATURE_DOTPROD)
#include "kernels/simd/arm_dot.h"
#elif defined(__AVX2__)
#include "kernels/simd/byte_pairs.h"
#endif
