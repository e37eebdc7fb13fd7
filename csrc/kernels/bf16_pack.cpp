#include "kernels/bf16_pack.h"

#include <cstring>

#include "kernels/bf16_kernels.h"

namespace crispvl::kernels {

uint16_t to_bf16(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    const bool is_nan = (bits & 0x7fffffff) > 0x7f800000;
    if (is_nan) return static_cast<uint16_t>((bits >> 16) | 0x40);
    return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

float from_bf16(uint16_t value) {
    const uint32_t bits = static_cast<uint32_t>(value) << 16;
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

void pack_row(const float* row, int64_t n_in, int64_t i_out, uint16_t* panels) {
    const int64_t n_pairs = pair_count(n_in);
    uint16_t* out =
        panels + i_out / kPanelWidth * n_pairs * kPanelWidth * 2 + i_out % kPanelWidth * 2;
    for (int64_t i = 0; i < n_in; ++i) out[i / 2 * kPanelWidth * 2 + i % 2] = to_bf16(row[i]);
}

}  // namespace crispvl::kernels
