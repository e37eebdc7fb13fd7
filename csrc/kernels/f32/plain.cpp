// For CPUs without kernels of ours: loops over independent values, which compilers turn into what
// vector instructions there are.
#include <algorithm>
#include <cstring>

#include "kernels/f32/row_summary.h"
#include "kernels/f32/table.h"

namespace crispvl::kernels {
namespace {

constexpr int64_t kLanes = 16;
constexpr float kLowest = -87.0f;  // exp of less is no normal float

// exp(x) for x from kLowest to 0, within 1e-6 of it: 2^n * 2^f with a whole n and |f| <= 1/2.
inline float exp_of_negative(float x) {
    constexpr float kWhole = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
    const float z = x * 1.44269504f;
    const float shifted = z + kWhole;
    const float f = (z - (shifted - kWhole)) * 0.69314718f;
    uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;  // the low bits are n; 2^n as a float
    float power;
    std::memcpy(&power, &bits, sizeof power);
    const float series =
        1 + f * (1 + f * (0.5f +
                          f * (1 / 6.0f + f * (1 / 24.0f + f * (1 / 120.0f + f * (1 / 720.0f))))));
    return power * series;
}

struct PlainBlock {
    static float largest(const float* x, int64_t n) {
        float lanes[kLanes];
        std::fill_n(lanes, kLanes, -kInfinity);
        int64_t i = 0;
        for (; i + kLanes <= n; i += kLanes) {
            for (int64_t j = 0; j < kLanes; ++j) {
                lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
            }
        }
        for (; i < n; ++i) lanes[0] = x[i] > lanes[0] ? x[i] : lanes[0];
        return *std::max_element(lanes, lanes + kLanes);
    }

    static float sum_of_exps(const float* x, int64_t n, float most) {
        float values[kBlock];
        for (int64_t i = 0; i < n; ++i) values[i] = std::max(x[i] - most, kLowest);  // NaN stays
        for (int64_t i = 0; i < n; ++i) values[i] = exp_of_negative(values[i]);
        std::fill(values + n, values + kBlock, 0.0f);
        for (int64_t half = kBlock / 2; half >= 1; half /= 2) {
            for (int64_t i = 0; i < half; ++i) values[i] += values[i + half];
        }
        return values[0];
    }
};

}  // namespace

const F32Kernels kF32Plain = {summarise_blocks<PlainBlock>};

}  // namespace crispvl::kernels
