// Sixteen numbers of 16 bits, for AVX2 and AVX-512 alike.
#pragma once

#include <immintrin.h>

namespace crispvl::kernels {
namespace {

using Halves = __m256i;

inline Halves load_halves(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
// at(0) to at(15).
template <typename At>
inline Halves halves_of(const At& at) {
    return _mm256_set_epi16(at(15), at(14), at(13), at(12), at(11), at(10), at(9), at(8), at(7),
                            at(6), at(5), at(4), at(3), at(2), at(1), at(0));
}

}  // namespace
}  // namespace crispvl::kernels
