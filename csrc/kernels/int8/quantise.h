// Rounds activations to bytes in blocks of 32. Compiled once per instruction set.
#pragma once

#include <cmath>

#include "kernels/int8/kernels.h"
#include "kernels/simd/simd.h"

namespace crispvl::kernels {
namespace {

// What is no number leaves none: the scale is NaN then, and the values are 0, since a NaN's word is
// the least of all, whose sums overflow.
inline void quantise_block(Floats low, Floats high, QuantisedBlock& y) {
    if (!all_finite(low) || !all_finite(high)) {
        y = QuantisedBlock{};
        y.scale = y.sum = __builtin_nanf("");
        return;
    }
    const float largest = largest_of(max(magnitude(low), magnitude(high)));
    const Floats inverse = splat(largest > 0 ? 127.0f / largest : 0.0f);
    const Bits q_low = to_nearest_words(mul(low, inverse));
    const Bits q_high = to_nearest_words(mul(high, inverse));
    store_as_bytes(y.values, q_low);
    store_as_bytes(y.values + 16, q_high);
    y.scale = largest / 127.0f;
    const int first = sum_of_words(q_low), second = sum_of_words(q_high);
    y.start = -128 * (first + second);
    y.sum = y.scale * static_cast<float>(first + second);
    y.half_starts[0] = -128 * first;
    y.half_starts[1] = -128 * second;
}

// y = (x - mean) * scale * weight + bias
class RowNorm {
public:
    RowNorm(const QuantiseJob& job, const float* x) : job_(job) {
        if (job.weight == nullptr) return;
        const float n = static_cast<float>(job.n_in);
        if (job.subtract_mean) {
            Floats sum = splat(0.0f);
            for (int64_t i = 0; i < job.n_in; i += 16) {
                sum = add(sum, load(x + i));
            }
            mean_ = splat(sum_of(sum) / n);
        }
        Floats squares = splat(0.0f);
        for (int64_t i = 0; i < job.n_in; i += 16) {
            const Floats d = sub(load(x + i), mean_);
            squares = fma(d, d, squares);
        }
        const float variance = sum_of(squares) / n;
        scale_ = splat(1.0f / std::sqrt(variance + job.epsilon));
    }

    inline Floats operator()(const float* x, int64_t i) const {
        const Floats v = load(x + i);
        if (job_.weight == nullptr) return v;
        const Floats scaled = mul(sub(v, mean_), scale_);
        const Floats bias = job_.bias != nullptr ? load(job_.bias + i) : splat(0.0f);
        return fma(scaled, load(job_.weight + i), bias);
    }

private:
    const QuantiseJob& job_;
    Floats mean_ = splat(0.0f), scale_ = splat(1.0f);
};

// Shares are counted in blocks, so that threads share a single row too; each finds its mean anew.
void quantise(const QuantiseJob& job, int ith, int nth) {
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

void quantise_bf16(const uint16_t* x, int64_t n_rows, int64_t n_in, void* y, int ith, int nth) {
    const int64_t n_blocks = n_in / kQuantBlock, n_all = n_rows * n_blocks;
    for (int64_t item = n_all * ith / nth; item < n_all * (ith + 1) / nth; ++item) {
        const uint16_t* block = x + item * kQuantBlock;
        quantise_block(load_bf16(block), load_bf16(block + 16),
                       quantised_row(y, n_in, item / n_blocks)[item % n_blocks]);
    }
}

}  // namespace
}  // namespace crispvl::kernels
