#include "bindings.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "kernels/int8/kernels.h"
#include "kernels/simd/aligned.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

// x [n_rows, n_in] -> its rounded rows
std::vector<uint8_t> quantised(const Floats& x, const std::optional<Floats>& weight,
                               const std::optional<Floats>& bias, float epsilon, bool subtract_mean,
                               int n_threads) {
    const int64_t n_rows = x.shape(0), n_in = x.shape(1);
    std::vector<uint8_t> rows(static_cast<size_t>(n_rows * kernels::quantised_row_bytes(n_in)));
    const kernels::QuantiseJob job{x.data(),
                                   n_rows,
                                   n_in,
                                   weight ? weight->data() : nullptr,
                                   bias ? bias->data() : nullptr,
                                   epsilon,
                                   subtract_mean,
                                   rows.data()};
    run_shares(n_threads, [&](int ith, int nth) { kernels::quantise_rows(job, ith, nth); });
    return rows;
}

// (bytes [n_rows, n_in], scales [n_rows, n_in / 32], sums of the same shape)
py::tuple parts_of(const std::vector<uint8_t>& rows, int64_t n_rows, int64_t n_in) {
    const int64_t n_blocks = n_in / kernels::kQuantBlock;
    py::array_t<int8_t> values({n_rows, n_in});
    std::vector<float> scales, sums;
    for (int64_t i = 0; i < n_rows; ++i) {
        const kernels::QuantisedBlock* row = kernels::quantised_row(rows.data(), n_in, i);
        for (int64_t j = 0; j < n_blocks; ++j) {
            std::copy_n(row[j].values, kernels::kQuantBlock,
                        values.mutable_data(i, j * kernels::kQuantBlock));
            scales.push_back(row[j].scale);
            sums.push_back(row[j].sum);
        }
    }
    return py::make_tuple(values, to_numpy(std::move(scales), {n_rows, n_blocks}),
                          to_numpy(std::move(sums), {n_rows, n_blocks}));
}

py::tuple quantise(const Floats& x, const std::optional<Floats>& weight,
                   const std::optional<Floats>& bias, float epsilon, bool subtract_mean,
                   int n_threads) {
    return parts_of(quantised(x, weight, bias, epsilon, subtract_mean, n_threads), x.shape(0),
                    x.shape(1));
}

// BF16 given as its bits
py::tuple quantise_bf16(const py::array_t<uint16_t, py::array::c_style>& x, int n_threads) {
    const int64_t n_rows = x.shape(0), n_in = x.shape(1);
    std::vector<uint8_t> rows(static_cast<size_t>(n_rows * kernels::quantised_row_bytes(n_in)));
    run_shares(n_threads, [&](int ith, int nth) {
        kernels::quantise_bf16_rows(x.data(), n_rows, n_in, rows.data(), ith, nth);
    });
    return parts_of(rows, n_rows, n_in);
}

using Bytes = py::array_t<uint8_t, py::array::c_style>;

// Q8_0 bytes [n_out, row_bytes] -> panels
kernels::AlignedArray<char> packed(const Bytes& weights, int64_t n_in) {
    using kernels::kInt8PanelOutputs;
    const int64_t n_out = weights.shape(0);
    auto panels = kernels::allocate_aligned<char>(
        static_cast<size_t>(kernels::int8_packed_bytes(n_out, n_in)));
    for (int64_t i = 0; i < n_out; i += kInt8PanelOutputs) {
        kernels::pack_panel_int8(
            weights.data(i, 0), static_cast<size_t>(weights.shape(1)),
            std::min(kInt8PanelOutputs, n_out - i), n_in,
            panels.get() + i / kInt8PanelOutputs * kernels::int8_panel_bytes(n_in));
    }
    return panels;
}

// Weights as a job of their type takes them; panels are given as Q8_0.
struct Matrix {
    kernels::AlignedArray<char> panels;
    const void* data;
    size_t row_bytes;

    Matrix(kernels::RowType type, const Bytes& weights, int64_t n_in)
        : data(weights.data()), row_bytes(static_cast<size_t>(weights.shape(1))) {
        if (type != kernels::RowType::panels) return;
        panels = packed(weights, n_in);
        data = panels.get();
        row_bytes =
            static_cast<size_t>(kernels::int8_panel_bytes(n_in) / kernels::kInt8PanelOutputs);
    }
    const void* row(int64_t i) const {
        return static_cast<const char*>(data) + static_cast<size_t>(i) * row_bytes;
    }
};

// x [n_rows, n_in], weights Q8_0 bytes [n_out, row_bytes] -> BF16's bits, F32 or rounded rows'
// parts
py::object gemm(const Floats& x, const Bytes& weights, const Floats& bias, bool gelu,
                const std::optional<Floats>& residual, const std::optional<Floats>& scale,
                int n_threads) {
    using kernels::Epilogue;
    const int64_t n_rows = x.shape(0), n_in = x.shape(1), n_out = weights.shape(0);
    const auto panels = packed(weights, n_in);
    const std::vector<uint8_t> input =
        quantised(x, std::nullopt, std::nullopt, 0.0f, /*subtract_mean=*/false, /*n_threads=*/1);
    std::vector<uint8_t> bytes(static_cast<size_t>(n_rows * kernels::quantised_row_bytes(n_out)));
    py::array_t<uint16_t> halves({n_rows, n_out});
    py::array_t<float> floats({n_rows, n_out});
    void* y = halves.mutable_data();
    if (gelu) y = bytes.data();
    if (residual) y = floats.mutable_data();
    const kernels::Int8GemmJob job{input.data(),
                                   n_rows,
                                   n_in,
                                   n_out,
                                   bias.data(),
                                   gelu       ? Epilogue::gelu
                                   : residual ? Epilogue::residual_f32
                                              : Epilogue::store_bf16,
                                   y,
                                   residual ? residual->data() : nullptr,
                                   scale ? scale->data() : nullptr};
    run_shares(n_threads,
               [&](int ith, int nth) { kernels::gemm_int8(job, panels.get(), ith, nth); });
    if (gelu) return parts_of(bytes, n_rows, n_out);
    return residual ? py::object(floats) : py::object(halves);
}

// weights: bytes [n_out, row_bytes] of the type; `up_weights` means SwiGLU, whose result is rounded
// rows' parts; else F32.
py::object gemm_columns(kernels::RowType type, const Bytes& weights, const Floats& x,
                        const std::optional<Bytes>& up_weights, const std::optional<Floats>& bias,
                        const std::optional<Floats>& up_bias,
                        const std::optional<Floats>& residual) {
    using kernels::Epilogue;
    using kernels::kInt8Columns;
    const int64_t n_rows = x.shape(0), n_in = x.shape(1), n_out = weights.shape(0);
    const std::vector<uint8_t> input =
        quantised(x, std::nullopt, std::nullopt, 0.0f, /*subtract_mean=*/false, /*n_threads=*/1);
    std::vector<uint8_t> bytes(static_cast<size_t>(n_rows * kernels::quantised_row_bytes(n_out)));
    std::vector<float> floats(static_cast<size_t>(n_rows * n_out));
    const kernels::Int8GemmJob job{input.data(),
                                   n_rows,
                                   n_in,
                                   n_out,
                                   bias ? bias->data() : nullptr,
                                   up_weights ? Epilogue::swiglu
                                   : residual ? Epilogue::residual_f32
                                              : Epilogue::store_f32,
                                   up_weights ? static_cast<void*>(bytes.data()) : floats.data(),
                                   residual ? residual->data() : nullptr,
                                   /*scale=*/nullptr};
    const auto scratch =
        kernels::allocate_aligned<char>(static_cast<size_t>(kernels::int8_columns_bytes(n_in)));
    const Matrix matrix(type, weights, n_in), ups(type, up_weights.value_or(weights), n_in);
    for (int64_t i = 0; i < n_out; i += kInt8Columns) {
        kernels::gemm_int8_columns(
            job,
            {type, matrix.row(i), up_weights ? ups.row(i) : nullptr, matrix.row_bytes,
             std::min(kInt8Columns, n_out - i), up_bias ? up_bias->data() : nullptr},
            i / kInt8Columns, scratch.get());
    }
    return up_weights ? py::object(parts_of(bytes, n_rows, n_out))
                      : py::object(to_numpy(std::move(floats), {n_rows, n_out}));
}

// weights: bytes [n_out, row_bytes] of the type; `up_weights` and no residual means SwiGLU.
py::array_t<float> rows_product(kernels::RowType type, const Bytes& weights, const Floats& x,
                                const std::optional<Bytes>& up_weights,
                                const std::optional<Floats>& bias,
                                const std::optional<Floats>& residual, int n_threads) {
    const int64_t n_tokens = x.shape(0), n_in = x.shape(1), n_out = weights.shape(0);
    const std::vector<uint8_t> rows =
        kernels::is_quantised(type)
            ? quantised(x, std::nullopt, std::nullopt, 0.0f, false, /*n_threads=*/1)
            : std::vector<uint8_t>{};
    kernels::RowEpilogue epilogue = kernels::RowEpilogue::store;
    if (residual) epilogue = kernels::RowEpilogue::residual;
    if (up_weights) epilogue = kernels::RowEpilogue::swiglu;
    std::vector<float> y(static_cast<size_t>(n_tokens * n_out));
    const Matrix matrix(type, weights, n_in), ups(type, up_weights.value_or(weights), n_in);
    const kernels::RowsJob job{type,
                               matrix.data,
                               up_weights ? ups.data : nullptr,
                               matrix.row_bytes,
                               bias ? bias->data() : nullptr,
                               /*up_bias=*/bias ? bias->data() : nullptr,
                               rows.empty() ? static_cast<const void*>(x.data()) : rows.data(),
                               n_tokens,
                               n_in,
                               epilogue,
                               y.data(),
                               n_out,
                               residual ? residual->data() : nullptr};
    const int64_t n_whole = type == kernels::RowType::panels ? kernels::kInt8PanelOutputs : 1;
    const int64_t n_units = (n_out + n_whole - 1) / n_whole;
    run_shares(n_threads, [&](int ith, int nth) {
        kernels::rows_product(job, n_units * ith / nth * n_whole,
                              std::min(n_out, n_units * (ith + 1) / nth * n_whole));
    });
    return to_numpy(std::move(y), {n_tokens, n_out});
}

void bind_row_types(py::module_& k) {
    using kernels::RowType;
    py::enum_<RowType>(k, "RowType")
        .value("q4_0", RowType::q4_0)
        .value("q4_1", RowType::q4_1)
        .value("q5_0", RowType::q5_0)
        .value("q5_1", RowType::q5_1)
        .value("q8_0", RowType::q8_0)
        .value("q4_k", RowType::q4_k)
        .value("q5_k", RowType::q5_k)
        .value("q6_k", RowType::q6_k)
        .value("panels", RowType::panels)
        .value("f16", RowType::f16)
        .value("bf16", RowType::bf16)
        .value("f32", RowType::f32);
}

}  // namespace

void bind_int8_kernels(py::module_& k) {
    k.def("int8_kernels_name", &kernels::int8_kernels_name);
    bind_row_types(k);
    k.def("quantise_rows", &quantise, "x"_a, py::kw_only(), "weight"_a = std::nullopt,
          "bias"_a = std::nullopt, "epsilon"_a = 0.0f, "subtract_mean"_a = false,
          "n_threads"_a = 1);
    k.def("quantise_bf16_rows", &quantise_bf16, "x"_a, "n_threads"_a = 1);
    k.def("gemm_int8", &gemm, "x"_a, "weights"_a, py::kw_only(), "bias"_a, "gelu"_a = false,
          "residual"_a = std::nullopt, "scale"_a = std::nullopt, "n_threads"_a = 1);
    k.def("gemm_int8_columns", &gemm_columns, "type"_a, "weights"_a, "x"_a, py::kw_only(),
          "up_weights"_a = std::nullopt, "bias"_a = std::nullopt, "up_bias"_a = std::nullopt,
          "residual"_a = std::nullopt);
    k.def("rows_product", &rows_product, "type"_a, "weights"_a, "x"_a, py::kw_only(),
          "up_weights"_a = std::nullopt, "bias"_a = std::nullopt, "residual"_a = std::nullopt,
          "n_threads"_a = 1);
}

}  // namespace crispvl::binding
