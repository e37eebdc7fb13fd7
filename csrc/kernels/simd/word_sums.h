// What products of bytes have in common where one instruction sums four of them into a word, which
// never overflows: vnni.h, arm_dot.h. byte_pairs.h has the same names for an instruction that sums
// in 16 bits.
#pragma once

namespace crispvl::kernels {
namespace {

// 64 unsigned weights of kBits bits, made ready for `dot`.
struct Weights {
    Bits bytes;
};
// Sums of words are opened, get four products of weights and signed bytes for each word from up to
// kQuadsAtOnce calls of `dot`, and are closed.
template <int kBits>
constexpr int kQuadsAtOnce = 8;
inline Bits open_sums(Bits sums) {
    return sums;
}
inline Bits close_sums(Bits /*sums*/, Bits opened) {
    return opened;
}

}  // namespace
}  // namespace crispvl::kernels
