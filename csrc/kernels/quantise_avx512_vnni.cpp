// Rounds activations to bytes in blocks of 32.
#include <immintrin.h>

#include "kernels/int8_kernels.h"

namespace crispvl::kernels {
namespace {

// 1 / sqrt(mean(x^2) + epsilon) of a row, in all lanes.
inline __m512 rms_scale(const float* x, int64_t n, float epsilon) {
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < n; i += 16) {
        const __m512 v = _mm512_loadu_ps(x + i);
        squares = _mm512_fmadd_ps(v, v, squares);
    }
    const float mean = _mm512_reduce_add_ps(squares) / static_cast<float>(n);
    return _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_sqrt_ps(_mm512_set1_ps(mean + epsilon)));
}

inline bool has_nonfinite(__m512 x) {
    constexpr int kNanOrInfinite = 0x99;
    return _mm512_fpclass_ps_mask(x, kNanOrInfinite) != 0;
}

// One block of 32, in two vectors. A number that is none leaves no number: the scale is NaN.
inline void round_block(__m512 low, __m512 high, uint8_t* values, float* scale, float* sum) {
    const float largest =
        _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(low), _mm512_abs_ps(high)));
    const __m512 inverse = _mm512_set1_ps(largest > 0 ? 127.0f / largest : 0.0f);
    const __m512i q_low = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse));
    const __m512i q_high = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
    const __m512i offset = _mm512_set1_epi32(128);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values),
                     _mm512_cvtepi32_epi8(_mm512_add_epi32(q_low, offset)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(values + 16),
                     _mm512_cvtepi32_epi8(_mm512_add_epi32(q_high, offset)));
    const bool is_finite = !has_nonfinite(low) && !has_nonfinite(high);
    *scale = is_finite ? largest / 127.0f : __builtin_nanf("");
    *sum = *scale * static_cast<float>(_mm512_reduce_add_epi32(_mm512_add_epi32(q_low, q_high)));
}

}  // namespace

void quantise_rows(const QuantiseJob& job, int ith, int nth) {
    const int64_t n_blocks = job.n_in / kQuantBlock, n_all = job.n_rows * n_blocks;
    int64_t row = -1;
    __m512 scale = _mm512_set1_ps(1.0f);
    for (int64_t item = n_all * ith / nth; item < n_all * (ith + 1) / nth; ++item) {
        const int64_t i = item % n_blocks * kQuantBlock;
        const float* x = job.x + item / n_blocks * job.n_in;
        if (job.weight != nullptr && item / n_blocks != row) {
            scale = rms_scale(x, job.n_in, job.epsilon);
        }
        row = item / n_blocks;
        __m512 low = _mm512_loadu_ps(x + i), high = _mm512_loadu_ps(x + i + 16);
        if (job.weight != nullptr) {
            low = _mm512_mul_ps(_mm512_mul_ps(low, scale), _mm512_loadu_ps(job.weight + i));
            high = _mm512_mul_ps(_mm512_mul_ps(high, scale), _mm512_loadu_ps(job.weight + i + 16));
        }
        uint8_t* values = static_cast<uint8_t*>(job.y) + row * quantised_row_bytes(job.n_in);
        float* scales = reinterpret_cast<float*>(values + job.n_in);
        const int64_t i_block = i / kQuantBlock;
        round_block(low, high, values + i, scales + i_block, scales + n_blocks + i_block);
    }
}

}  // namespace crispvl::kernels
