// Rows of W without blocks, each by itself, times rows of x in F32.
#pragma once

#include "kernels/int8/panel.h"

namespace crispvl::kernels {
namespace {

constexpr int64_t kStreamAhead = 512;  // bytes that one of several streams is fetched ahead
constexpr int kSecondCache = 2;        // where prefetched weights go

// 16 weights of a type without blocks.
struct F16 {
    static constexpr int64_t kBytes = 2;
    static inline Floats load_first(int64_t n, const uint8_t* p) {
        return widen_f16(load_halves_first(n, p));
    }
};
struct BF16 {
    static constexpr int64_t kBytes = 2;
    static inline Floats load_first(int64_t n, const uint8_t* p) {
        return widen_bf16(load_halves_first(n, p));
    }
};
struct F32 {
    static constexpr int64_t kBytes = 4;
    static inline Floats load_first(int64_t n, const uint8_t* p) {
        return kernels::load_first(n, reinterpret_cast<const float*>(p));
    }
};

template <typename Format>
struct PlainRows {
    static constexpr int kStreams = 4;

    // sums[r][t] = a row of W times token `first` + t.
    template <int n_rows, int n>
    static void dot(const RowsJob& job, const uint8_t* const (&rows)[n_rows], int64_t first,
                    float (&sums)[n_rows][n]) {
        const int64_t n_in = job.n_in;
        const float* x = static_cast<const float*>(job.x) + first * n_in;
        Floats totals[n_rows][n];
        for (auto& of_row : totals) {
            for (Floats& total : of_row) total = splat(0.0f);
        }
        const size_t ahead = n_rows > 1 ? kStreamAhead : 8 * job.row_bytes;
        const auto add_16 = [&](int64_t i, int64_t n_left) {
#pragma GCC unroll 4
            for (int r = 0; r < n_rows; ++r) {
                const uint8_t* p = rows[r] + i * Format::kBytes;
                __builtin_prefetch(p + ahead, /*write=*/0, kSecondCache);
                const Floats w = Format::load_first(n_left, p);
#pragma GCC unroll 8
                for (int t = 0; t < n; ++t) {
                    totals[r][t] = fma(w, load_first(n_left, x + t * n_in + i), totals[r][t]);
                }
            }
        };
        int64_t i = 0;
        for (; i + 16 <= n_in; i += 16) add_16(i, 16);
        if (i < n_in) add_16(i, n_in - i);
        for (int r = 0; r < n_rows; ++r) {
            for (int t = 0; t < n; ++t) sums[r][t] = sum_of(totals[r][t]);
        }
    }
};

}  // namespace
}  // namespace crispvl::kernels
