// A block of a row in the types of simd/.
#pragma once

#include "kernels/f32/row_summary.h"
#include "kernels/simd/math.h"

namespace crispvl::kernels {
namespace {

struct VectorBlock {
    static float largest(const float* x, int64_t n) {
        const Floats lowest = splat(-kInfinity);
        Floats most = lowest;
        for (int64_t i = 0; i < n; i += 16) {
            most = max(keep_first(n - i, load_first(n - i, x + i), lowest), most);
        }
        return largest_of(most);
    }

    static float sum_of_exps(const float* x, int64_t n, float most) {
        const Floats log2_e = splat(1.44269504089f), zero = splat(0.0f), all = splat(most);
        Floats sum = zero;
        for (int64_t i = 0; i < n; i += 16) {
            const Floats power = mul(sub(load_first(n - i, x + i), all), log2_e);
            // The second of max is the one that may be NaN, and stays so.
            const Floats e = exp2_in_range(max(splat(kLowestPower), power));
            sum = add(sum, keep_first(n - i, e, zero));
        }
        return sum_of(sum);
    }
};

}  // namespace
}  // namespace crispvl::kernels
