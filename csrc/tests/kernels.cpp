// Compares the kernels that this machine runs with plain sums in double; tests/arm64 runs it under
// an emulator, where Python's tests of the kernels cannot run. Prints their names, then a line for
// each comparison that failed.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "ggml.h"
#include "kernels/bf16/kernels.h"
#include "kernels/f32/kernels.h"
#include "kernels/int8/kernels.h"
#include "kernels/names.h"
#include "kernels/simd/aligned.h"

using namespace crispvl::kernels;

namespace {

using Numbers = std::vector<float>;
using Halves = std::vector<uint16_t>;
using Bytes = AlignedArray<char>;

int n_failed = 0;

void expect(bool holds, const std::string& what) {
    if (holds) return;
    ++n_failed;
    std::printf("failed: %s\n", what.c_str());
}

Numbers random_numbers(int64_t n, unsigned seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0, 1);
    Numbers x(static_cast<size_t>(n));
    for (float& value : x) value = normal(generator);
    return x;
}

// `most`: the largest error that rounding explains.
void expect_near(float found, double wanted, double most, const std::string& what) {
    const double error = std::fabs(static_cast<double>(found) - wanted);
    expect(error <= most, what + ": " + std::to_string(found) + " for " + std::to_string(wanted));
}

// ---- 8 bits -------------------------------------------------------------------------------------

struct WeightType {
    RowType type;
    ggml_type stored;
    int64_t n_in;
};
constexpr WeightType kTypes[] = {
    {RowType::q4_0, GGML_TYPE_Q4_0, 96},  {RowType::q4_1, GGML_TYPE_Q4_1, 96},
    {RowType::q5_0, GGML_TYPE_Q5_0, 96},  {RowType::q5_1, GGML_TYPE_Q5_1, 96},
    {RowType::q8_0, GGML_TYPE_Q8_0, 96},  {RowType::q4_k, GGML_TYPE_Q4_K, 512},
    {RowType::q5_k, GGML_TYPE_Q5_K, 512}, {RowType::q6_k, GGML_TYPE_Q6_K, 512},
    {RowType::f16, GGML_TYPE_F16, 72},    {RowType::bf16, GGML_TYPE_BF16, 72},
    {RowType::f32, GGML_TYPE_F32, 72},
};

// A matrix in the blocks of a type, and what they say.
struct Matrix {
    Matrix(const WeightType& type, int64_t n_rows, unsigned seed)
        : row_bytes(ggml_row_size(type.stored, type.n_in)),
          bytes(allocate_aligned<char>(row_bytes * static_cast<size_t>(n_rows))),
          values(random_numbers(n_rows * type.n_in, seed)) {
        ggml_quantize_chunk(type.stored, values.data(), bytes.get(), 0, n_rows, type.n_in, nullptr);
        if (type.stored == GGML_TYPE_F32) return;
        ggml_get_type_traits(type.stored)->to_float(bytes.get(), values.data(), n_rows * type.n_in);
    }

    size_t row_bytes;
    Bytes bytes;
    Numbers values;
};

// Activations as the products take them, and what they say.
struct Activations {
    Activations(RowType type, int64_t n_rows, int64_t n_in, unsigned seed)
        : values(random_numbers(n_rows * n_in, seed)) {
        if (!is_quantised(type)) return;
        rounded = allocate_aligned<char>(static_cast<size_t>(n_rows * quantised_row_bytes(n_in)));
        quantise_rows({values.data(), n_rows, n_in, nullptr, nullptr, 0, false, rounded.get()}, 0,
                      1);
        for (int64_t i = 0; i < n_rows * n_in; ++i) round(i, n_in);
    }

    const void* data() const {
        return rounded ? static_cast<const void*>(rounded.get()) : values.data();
    }

    Bytes rounded;
    Numbers values;

private:
    void round(int64_t i, int64_t n_in) {
        const QuantisedBlock& block =
            quantised_row(rounded.get(), n_in, i / n_in)[i % n_in / kQuantBlock];
        float& value = values[static_cast<size_t>(i)];
        const float found = block.scale * static_cast<float>(block.values[i % kQuantBlock]);
        expect(std::fabs(found - value) <= block.scale * 0.5001f, "rounded activation");
        value = found;
    }
};

struct Sum {
    double value = 0, size = 0;  // of the terms, and of their magnitudes
};
constexpr double kShare = 1e-5;  // of that size, for sums in F32

Sum product_of(const Numbers& w, int64_t row, const Numbers& x, int64_t token, int64_t n_in) {
    Sum sum;
    for (int64_t i = 0; i < n_in; ++i) {
        const double term = static_cast<double>(w[static_cast<size_t>(row * n_in + i)]) *
                            static_cast<double>(x[static_cast<size_t>(token * n_in + i)]);
        sum.value += term;
        sum.size += std::fabs(term);
    }
    return sum;
}

// y [tokens, n_out] = x W^T
void expect_products(const Matrix& w, const Activations& x, const Numbers& y, int64_t n_out,
                     const WeightType& type, const char* what) {
    for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
        const Sum sum = product_of(w.values, i % n_out, x.values, i / n_out, type.n_in);
        expect_near(y[static_cast<size_t>(i)], sum.value, kShare * sum.size,
                    std::string(what) + ggml_type_name(type.stored));
    }
}

void check_rows(const WeightType& type, int64_t n_tokens) {
    constexpr int64_t kOut = 85;  // several groups read side by side, one by itself, and a rest
    const Matrix w(type, kOut, 1), up(type, kOut, 2);
    const Activations x(type.type, n_tokens, type.n_in, 3);
    Numbers y(static_cast<size_t>(n_tokens * kOut));
    RowsJob job{type.type, w.bytes.get(), up.bytes.get(), w.row_bytes, nullptr,
                nullptr,   x.data(),      n_tokens,       type.n_in,   RowEpilogue::store,
                y.data(),  kOut,          nullptr};
    rows_product(job, 0, 16);
    rows_product(job, 16, kOut);
    expect_products(w, x, y, kOut, type, "rows of ");
    job.epilogue = RowEpilogue::swiglu;
    rows_product(job, 0, kOut);
    for (int64_t i = 0; i < n_tokens * kOut; ++i) {
        const Sum gate = product_of(w.values, i % kOut, x.values, i / kOut, type.n_in);
        const Sum other = product_of(up.values, i % kOut, x.values, i / kOut, type.n_in);
        expect_near(y[static_cast<size_t>(i)],
                    gate.value / (1 + std::exp(-gate.value)) * other.value,
                    kShare * gate.size * other.size,
                    std::string("swiglu of ") + ggml_type_name(type.stored));
    }
}

// By weights unpacked where they are needed, and where they can be by weights packed beforehand.
void check_columns(const WeightType& type, int64_t n_rows) {
    constexpr int64_t kOut = 37;
    const Matrix w(type, kOut, 3);
    const Activations x(type.type, n_rows, type.n_in, 4);
    Numbers y(static_cast<size_t>(n_rows * kOut));
    const Int8GemmJob job{x.data(), n_rows,  type.n_in, kOut, nullptr, Epilogue::store_f32,
                          y.data(), nullptr, nullptr};
    if (type.type == RowType::q8_0) {
        const Bytes panels =
            allocate_aligned<char>(static_cast<size_t>(int8_packed_bytes(kOut, type.n_in)));
        for (int64_t first = 0; first < kOut; first += kInt8PanelOutputs) {
            pack_panel_int8(w.bytes.get() + static_cast<size_t>(first) * w.row_bytes, w.row_bytes,
                            std::min(kInt8PanelOutputs, kOut - first), type.n_in,
                            panels.get() + first / kInt8PanelOutputs * int8_panel_bytes(type.n_in));
        }
        gemm_int8(job, panels.get(), 0, 1);
        expect_products(w, x, y, kOut, type, "packed columns of ");
    }
    const Bytes scratch =
        allocate_aligned<char>(static_cast<size_t>(int8_columns_bytes(type.n_in)));
    for (int64_t i = 0; i * kInt8Columns < kOut; ++i) {
        const int64_t first = i * kInt8Columns, n = std::min(kInt8Columns, kOut - first);
        gemm_int8_columns(job,
                          {type.type, w.bytes.get() + static_cast<size_t>(first) * w.row_bytes,
                           nullptr, w.row_bytes, n, nullptr},
                          i, scratch.get());
    }
    expect_products(w, x, y, kOut, type, "columns of ");
}

// ---- BF16 ---------------------------------------------------------------------------------------

constexpr double kBf16Step = 1.0 / 256;  // of a number, to which it is rounded

float from_bf16(uint16_t bits) {
    return ggml_bf16_to_fp32({bits});
}

// Rounded in place too.
Halves as_bf16(Numbers& x) {
    Halves bits(x.size());
    round_bf16(x.data(), static_cast<int64_t>(x.size()), bits.data());
    for (size_t i = 0; i < x.size(); ++i) {
        expect(ggml_fp32_to_bf16(x[i]).bits == bits[i], "rounding to bf16");
        x[i] = from_bf16(bits[i]);
    }
    return bits;
}

Halves as_f16(Numbers& x) {
    Halves bits(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        bits[i] = ggml_fp32_to_fp16(x[i]);
        x[i] = ggml_fp16_to_fp32(bits[i]);
    }
    return bits;
}

void check_bf16_gemm(int64_t n_rows, int64_t n_in) {
    constexpr int64_t kOut = 100;
    Numbers x = random_numbers(n_rows * n_in, 5);
    Numbers w = random_numbers(panel_count(kOut) * kPanelWidth * n_in, 6);
    const Halves x_bits = as_bf16(x), w_bits = as_bf16(w);
    Halves panels(static_cast<size_t>(packed_size(kOut, n_in)));
    const int64_t panel_size = pair_count(n_in) * kPanelWidth * 2;
    for (int64_t p = 0; p < panel_count(kOut); ++p) {
        pack_panel_bf16(w_bits.data() + p * kPanelWidth * n_in, n_in,
                        panels.data() + p * panel_size);
    }
    Numbers y(static_cast<size_t>(n_rows * kOut));
    Halves activated(y.size());
    GemmJob job{x_bits.data(),       n_rows,   n_in,    kOut,   panels.data(), nullptr,
                Epilogue::store_f32, y.data(), nullptr, nullptr};
    gemm_bf16(job, 0, 1);
    job.epilogue = Epilogue::gelu;
    job.y = activated.data();
    gemm_bf16(job, 0, 1);
    for (int64_t i = 0; i < n_rows * kOut; ++i) {
        const Sum sum = product_of(w, i % kOut, x, i / kOut, n_in);
        expect_near(y[static_cast<size_t>(i)], sum.value, kShare * sum.size, "bf16 product");
        const double gelu = sum.value / 2 * (1 + std::erf(sum.value / std::sqrt(2.0)));
        expect_near(from_bf16(activated[static_cast<size_t>(i)]), gelu,
                    kBf16Step * std::fabs(gelu) + kShare * sum.size, "gelu of a bf16 product");
    }
}

// softmax(q k / sqrt(d)) v over keys [first, end), which are `stride` numbers apart.
std::vector<double> attended(const float* q, const float* k, const float* v, int64_t stride,
                             int64_t first, int64_t end, int64_t d_head) {
    std::vector<double> weights, y(static_cast<size_t>(d_head));
    double sum = 0;
    for (int64_t i = first; i < end; ++i) {
        double score = 0;
        for (int64_t d = 0; d < d_head; ++d) {
            score += static_cast<double>(q[d]) * static_cast<double>(k[i * stride + d]);
        }
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(d_head))));
        sum += weights.back();
    }
    for (int64_t i = first; i < end; ++i) {
        for (int64_t d = 0; d < d_head; ++d) {
            y[static_cast<size_t>(d)] += weights[static_cast<size_t>(i - first)] / sum *
                                         static_cast<double>(v[i * stride + d]);
        }
    }
    return y;
}

void check_tile_attention() {
    constexpr int64_t kTokens = 77, kHeads = 2, kHead = 64, kWidth = kHeads * kHead;
    Numbers qkv = random_numbers(kTokens * 3 * kWidth, 7);
    const Halves bits = as_bf16(qkv);
    Halves y(static_cast<size_t>(kTokens * kWidth));
    const AttentionJob job{bits.data(), 1, kTokens, kHeads, kHead, y.data()};
    const Bytes scratch = allocate_aligned<char>(attention_scratch_bytes(job));
    attention_bf16(job, scratch.get(), 0, 1);
    for (int64_t i = 0; i < kTokens * kHeads; ++i) {
        const int64_t token = i / kHeads, column = i % kHeads * kHead;
        const float* first = qkv.data() + column;
        const auto wanted = attended(first + token * 3 * kWidth, first + kWidth, first + 2 * kWidth,
                                     3 * kWidth, 0, kTokens, kHead);
        for (int64_t d = 0; d < kHead; ++d) {
            expect_near(from_bf16(y[static_cast<size_t>(token * kWidth + column + d)]),
                        wanted[static_cast<size_t>(d)], 2 * kBf16Step, "tile attention");
        }
    }
}

// New tokens over a past, by the kernel for many and by that for few.
void check_causal_attention(int64_t window) {
    constexpr int64_t kPast = 70, kNew = 9, kHeads = 4, kKvHeads = 2, kHead = 64;
    Numbers q = random_numbers(kNew * kHeads * kHead, 8);
    Numbers k = random_numbers((kPast + kNew) * kKvHeads * kHead, 9);
    Numbers v = random_numbers((kPast + kNew) * kKvHeads * kHead, 10);
    const Halves k_bits = as_f16(k), v_bits = as_f16(v);
    Halves many(q.size());
    const CausalAttentionJob job{q.data(), k_bits.data(), v_bits.data(), kPast,
                                 kNew,     kHeads,        kKvHeads,      kHead,
                                 window,   nullptr,       many.data()};
    const Bytes scratch = allocate_aligned<char>(attention_scratch_bytes(job));
    attention_bf16(job, scratch.get(), 0, 1);
    Numbers few(q.size());
    const CachedSequence sequence{k_bits.data(), v_bits.data(), kPast, kNew, 0};
    cached_attention({q.data(), &sequence, 1, kHeads, kKvHeads, kHead, window, nullptr, few.data()},
                     0, 1);
    for (int64_t i = 0; i < kNew * kHeads; ++i) {
        const int64_t end = kPast + i / kHeads + 1;
        const int64_t column = i % kHeads / (kHeads / kKvHeads) * kHead;
        const auto wanted =
            attended(q.data() + i * kHead, k.data() + column, v.data() + column, kKvHeads * kHead,
                     window > 0 ? std::max<int64_t>(0, end - window) : 0, end, kHead);
        for (int64_t d = 0; d < kHead; ++d) {
            const double number = wanted[static_cast<size_t>(d)];
            const auto at = static_cast<size_t>(i * kHead + d);
            expect_near(from_bf16(many[at]), number, 4 * kBf16Step, "causal attention");
            expect_near(few[at], number, kShare, "cached attention");
        }
    }
}

void check_norm(bool subtract_mean) {
    constexpr int64_t kNormRows = 3, kWidth = 88;
    const Numbers x = random_numbers(kNormRows * kWidth, 11), weight = random_numbers(kWidth, 12);
    Halves y(x.size());
    norm_bf16({x.data(), kNormRows, kWidth, weight.data(), nullptr, 1e-6f, subtract_mean, y.data()},
              0, 1);
    for (int64_t row = 0; row < kNormRows; ++row) {
        const float* of_row = x.data() + row * kWidth;
        double mean = 0, squares = 0;
        for (int64_t i = 0; i < kWidth && subtract_mean; ++i)
            mean += static_cast<double>(of_row[i]) / kWidth;
        for (int64_t i = 0; i < kWidth; ++i)
            squares += std::pow(static_cast<double>(of_row[i]) - mean, 2);
        for (int64_t i = 0; i < kWidth; ++i) {
            const double wanted = (static_cast<double>(of_row[i]) - mean) /
                                  std::sqrt(squares / kWidth + 1e-6) *
                                  static_cast<double>(weight[static_cast<size_t>(i)]);
            expect_near(from_bf16(y[static_cast<size_t>(row * kWidth + i)]), wanted,
                        kBf16Step * std::fabs(wanted), "norm");
        }
    }
}

// ---- F32 ----------------------------------------------------------------------------------------

void check_summary() {
    Numbers x = random_numbers(1003, 13);
    for (float& value : x) value *= 5;
    double sum = 0;
    for (const float value : x) sum += std::exp(static_cast<double>(value));
    const RowSummary found = summarise_row(x.data(), static_cast<int64_t>(x.size()));
    expect(std::fabs(found.log_sum - std::log(sum)) < 1e-5, "log of a sum of exponentials");
    expect(found.i_first == std::max_element(x.begin(), x.end()) - x.begin(), "place of the most");
}

}  // namespace

int main() {
    for (const std::string& name : kernel_names()) std::printf("%s\n", name.c_str());
    if (int8_kernels_name() != nullptr) {
        for (const WeightType& type : kTypes) {
            for (const int64_t n : {1, 2, 3, 7, 25}) check_rows(type, n);
            if (!is_quantised(type.type)) continue;
            for (const int64_t n : {1, 5, 8, 13}) check_columns(type, n);
        }
    }
    if (bf16_kernels_name() != nullptr) {
        for (const int64_t n : {1, 2, 3, 4, 5, 13}) check_bf16_gemm(n, 74);
        check_tile_attention();
        for (const int64_t window : {0, 40}) check_causal_attention(window);
        for (const bool subtract_mean : {false, true}) check_norm(subtract_mean);
    }
    check_summary();
    return n_failed == 0 ? 0 : 1;
}
