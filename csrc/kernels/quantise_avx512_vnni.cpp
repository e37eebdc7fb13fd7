// Rounds activations to bytes in blocks of 32.
#include "kernels/quantise_avx512.h"

#include "kernels/avx512_epilogue.h"
#include "kernels/int8_kernels.h"

namespace crispvl::kernels {
namespace {

// y = (x - mean) * scale * weight + bias
class RowNorm {
public:
    RowNorm(const QuantiseJob& job, const float* x) : job_(job) {
        if (job.weight == nullptr) return;
        const float n = static_cast<float>(job.n_in);
        if (job.subtract_mean) {
            __m512 sum = _mm512_setzero_ps();
            for (int64_t i = 0; i < job.n_in; i += 16) {
                sum = _mm512_add_ps(sum, _mm512_loadu_ps(x + i));
            }
            mean_ = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / n);
        }
        __m512 squares = _mm512_setzero_ps();
        for (int64_t i = 0; i < job.n_in; i += 16) {
            const __m512 d = _mm512_sub_ps(_mm512_loadu_ps(x + i), mean_);
            squares = _mm512_fmadd_ps(d, d, squares);
        }
        const float variance = _mm512_reduce_add_ps(squares) / n;
        scale_ = _mm512_div_ps(_mm512_set1_ps(1.0f),
                               _mm512_sqrt_ps(_mm512_set1_ps(variance + job.epsilon)));
    }

    inline __m512 operator()(const float* x, int64_t i) const {
        const __m512 v = _mm512_loadu_ps(x + i);
        if (job_.weight == nullptr) return v;
        const __m512 scaled = _mm512_mul_ps(_mm512_sub_ps(v, mean_), scale_);
        const __m512 bias =
            job_.bias != nullptr ? _mm512_loadu_ps(job_.bias + i) : _mm512_setzero_ps();
        return _mm512_fmadd_ps(scaled, _mm512_loadu_ps(job_.weight + i), bias);
    }

private:
    const QuantiseJob& job_;
    __m512 mean_ = _mm512_setzero_ps(), scale_ = _mm512_set1_ps(1.0f);
};

}  // namespace

// Shares are counted in blocks, so that threads share a single row too; each finds its mean anew.
void quantise_rows(const QuantiseJob& job, int ith, int nth) {
    const int64_t n_blocks = job.n_in / kQuantBlock, n_all = job.n_rows * n_blocks;
    const int64_t begin = n_all * ith / nth, end = n_all * (ith + 1) / nth;
    for (int64_t item = begin; item < end;) {
        const int64_t row = item / n_blocks;
        const float* x = job.x + row * job.n_in;
        QuantisedBlock* y = quantised_row(job.y, job.n_in, row);
        const RowNorm norm(job, x);
        for (; item < end && item / n_blocks == row; ++item) {
            const int64_t i_block = item % n_blocks, i = i_block * kQuantBlock;
            quantise_block(norm(x, i), norm(x, i + 16), y[i_block]);
        }
    }
}

void quantise_bf16_rows(const uint16_t* x, int64_t n_rows, int64_t n_in, void* y, int ith,
                        int nth) {
    const int64_t n_blocks = n_in / kQuantBlock, n_all = n_rows * n_blocks;
    for (int64_t item = n_all * ith / nth; item < n_all * (ith + 1) / nth; ++item) {
        const uint16_t* block = x + item * kQuantBlock;
        quantise_block(load_bf16(block), load_bf16(block + 16),
                       quantised_row(y, n_in, item / n_blocks)[item % n_blocks]);
    }
}

}  // namespace crispvl::kernels
