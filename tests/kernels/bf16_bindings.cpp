#include "bindings.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "kernels/bf16/kernels.h"
#include "kernels/simd/aligned.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

std::vector<uint16_t> rounded(const Floats& x) {
    std::vector<uint16_t> values(static_cast<size_t>(x.size()));
    kernels::round_bf16(x.data(), x.size(), values.data());
    return values;
}

float from_bf16(uint16_t value) {
    const uint32_t bits = uint32_t{value} << 16;
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

py::array_t<float> widened(const std::vector<uint16_t>& values, std::vector<py::ssize_t> shape) {
    std::vector<float> floats(values.size());
    std::transform(values.begin(), values.end(), floats.begin(), from_bf16);
    return to_numpy(std::move(floats), std::move(shape));
}

py::array_t<float> gemm(const Floats& x, const Floats& w, const std::optional<Floats>& bias,
                        bool gelu, const std::optional<Floats>& residual,
                        const std::optional<Floats>& scale, bool bf16_output, int n_threads) {
    const int64_t n_rows = x.shape(0), n_in = x.shape(1), n_out = w.shape(0);
    const auto panels =
        kernels::allocate_aligned<uint16_t>(static_cast<size_t>(kernels::packed_size(n_out, n_in)));
    std::vector<uint16_t> rows(static_cast<size_t>(kernels::kPanelWidth * n_in));
    for (int64_t i = 0; i < n_out; i += kernels::kPanelWidth) {
        const int64_t n_rows_left = std::min(kernels::kPanelWidth, n_out - i);
        std::fill(rows.begin(), rows.end(), uint16_t{0});
        kernels::round_bf16(w.data() + i * n_in, n_rows_left * n_in, rows.data());
        kernels::pack_panel_bf16(rows.data(), n_in, panels.get() + i * n_in);
    }
    const std::vector<uint16_t> input = rounded(x);
    std::vector<float> floats(static_cast<size_t>(n_rows * n_out));
    std::vector<uint16_t> halves(floats.size());
    kernels::Epilogue epilogue =
        bf16_output ? kernels::Epilogue::store_bf16 : kernels::Epilogue::store_f32;
    if (gelu) epilogue = kernels::Epilogue::gelu;
    if (residual) epilogue = kernels::Epilogue::residual_f32;
    const bool is_bf16 = gelu || (bf16_output && !residual);
    const kernels::GemmJob job{input.data(),
                               n_rows,
                               n_in,
                               n_out,
                               panels.get(),
                               bias ? bias->data() : nullptr,
                               epilogue,
                               is_bf16 ? static_cast<void*>(halves.data()) : floats.data(),
                               residual ? residual->data() : nullptr,
                               scale ? scale->data() : nullptr};
    run_shares(n_threads, [&](int ith, int nth) { kernels::gemm_bf16(job, ith, nth); });
    return is_bf16 ? widened(halves, {n_rows, n_out})
                   : to_numpy(std::move(floats), {n_rows, n_out});
}

py::array_t<float> norm(const Floats& x, const Floats& weight, const std::optional<Floats>& bias,
                        float epsilon, bool subtract_mean, int n_threads) {
    std::vector<uint16_t> y(static_cast<size_t>(x.size()));
    const kernels::NormJob job{
        x.data(), x.shape(0),    x.shape(1), weight.data(), bias ? bias->data() : nullptr,
        epsilon,  subtract_mean, y.data()};
    run_shares(n_threads, [&](int ith, int nth) { kernels::norm_bf16(job, ith, nth); });
    return widened(y, {x.shape(0), x.shape(1)});
}

// qkv [n_tiles, n_tokens, 3, n_heads, d_head] -> [n_tiles, n_tokens, n_heads, d_head]
py::array_t<float> attention(const Floats& qkv, int n_threads) {
    const std::vector<uint16_t> input = rounded(qkv);
    std::vector<uint16_t> y(input.size() / 3);
    const kernels::AttentionJob job{input.data(), qkv.shape(0), qkv.shape(1),
                                    qkv.shape(3), qkv.shape(4), y.data()};
    const auto scratch = kernels::allocate_aligned<uint8_t>(kernels::attention_scratch_bytes(job));
    run_shares(n_threads,
               [&](int ith, int nth) { kernels::attention_bf16(job, scratch.get(), ith, nth); });
    return widened(y, {qkv.shape(0), qkv.shape(1), qkv.shape(3), qkv.shape(4)});
}

// x [n_rows, n_in], gate and up [width, n_in] -> [n_rows, width], panel by panel
py::array_t<float> swiglu(const Floats& x, const Floats& gate, const Floats& up) {
    constexpr int64_t kHalf = kernels::kPanelWidth / 2;
    const int64_t n_rows = x.shape(0), n_in = x.shape(1), width = gate.shape(0);
    const std::vector<uint16_t> input = rounded(x);
    std::vector<uint16_t> y(static_cast<size_t>(n_rows * width));
    const kernels::GemmJob job{
        input.data(), n_rows,  n_in,   2 * width, nullptr, nullptr, kernels::Epilogue::swiglu,
        y.data(),     nullptr, nullptr};
    std::vector<uint16_t> rows(static_cast<size_t>(kernels::kPanelWidth * n_in));
    std::vector<uint16_t> panel(rows.size());
    for (int64_t i_panel = 0; i_panel < kernels::panel_count(2 * width); ++i_panel) {
        std::fill(rows.begin(), rows.end(), uint16_t{0});
        for (int64_t i = 0; i < kernels::kPanelWidth; ++i) {
            const int64_t i_row = i_panel * kHalf + i % kHalf;
            if (i_row >= width) continue;
            const float* row = (i < kHalf ? gate : up).data() + i_row * n_in;
            kernels::round_bf16(row, n_in, rows.data() + i * n_in);
        }
        kernels::pack_panel_bf16(rows.data(), n_in, panel.data());
        kernels::gemm_bf16_panel(job, i_panel, panel.data());
    }
    return widened(y, {n_rows, width});
}

// q [n_new, n_heads, d_head], k and v float16 [n_kv, n_kv_heads, d_head], sinks [n_heads]
py::array_t<float> causal_attention(const Floats& q, const py::array& k, const py::array& v,
                                    int n_threads, int64_t window,
                                    const std::optional<Floats>& sinks) {
    const py::array keys = py::array::ensure(k, py::array::c_style);
    const py::array values = py::array::ensure(v, py::array::c_style);
    std::vector<uint16_t> y(static_cast<size_t>(q.size()));
    const kernels::CausalAttentionJob job{q.data(),
                                          static_cast<const uint16_t*>(keys.data()),
                                          static_cast<const uint16_t*>(values.data()),
                                          keys.shape(0) - q.shape(0),
                                          q.shape(0),
                                          q.shape(1),
                                          keys.shape(1),
                                          q.shape(2),
                                          window,
                                          sinks ? sinks->data() : nullptr,
                                          y.data()};
    const auto scratch = kernels::allocate_aligned<uint8_t>(kernels::attention_scratch_bytes(job));
    run_shares(n_threads,
               [&](int ith, int nth) { kernels::attention_bf16(job, scratch.get(), ith, nth); });
    return widened(y, {q.shape(0), q.shape(1), q.shape(2)});
}

// Per sequence q [n_new, n_heads, d_head], k and v float16 [n_kv, n_kv_heads, d_head]
std::vector<py::array_t<float>> cached_attention(const std::vector<Floats>& q,
                                                 const std::vector<py::array>& k,
                                                 const std::vector<py::array>& v, int n_threads,
                                                 int64_t window,
                                                 const std::optional<Floats>& sinks) {
    std::vector<kernels::CachedSequence> sequences;
    std::vector<float> queries;
    int64_t n_tokens = 0;
    for (size_t i = 0; i < q.size(); ++i) {
        const int64_t n_new = q[i].shape(0);
        sequences.push_back({static_cast<const uint16_t*>(k[i].data()),
                             static_cast<const uint16_t*>(v[i].data()), k[i].shape(0) - n_new,
                             n_new, n_tokens});
        queries.insert(queries.end(), q[i].data(), q[i].data() + q[i].size());
        n_tokens += n_new;
    }
    std::vector<float> y(queries.size());
    const kernels::CachedAttentionJob job{queries.data(),
                                          sequences.data(),
                                          static_cast<int64_t>(sequences.size()),
                                          q[0].shape(1),
                                          k[0].shape(1),
                                          q[0].shape(2),
                                          window,
                                          sinks ? sinks->data() : nullptr,
                                          y.data()};
    run_shares(n_threads, [&](int ith, int nth) { kernels::cached_attention(job, ith, nth); });
    std::vector<py::array_t<float>> found;
    const float* next = y.data();
    for (const Floats& of : q) {
        found.emplace_back(std::vector<py::ssize_t>(of.shape(), of.shape() + 3), next);
        next += of.size();
    }
    return found;
}

}  // namespace

void bind_bf16_kernels(py::module_& k) {
    k.def("bf16_kernels_name", &kernels::bf16_kernels_name);
    k.def("gemm_bf16", &gemm, "x"_a, "w"_a, py::kw_only(), "bias"_a = std::nullopt,
          "gelu"_a = false, "residual"_a = std::nullopt, "scale"_a = std::nullopt,
          "bf16_output"_a = false, "n_threads"_a = 1);
    k.def("norm_bf16", &norm, "x"_a, "weight"_a, "bias"_a, "epsilon"_a, "subtract_mean"_a,
          "n_threads"_a = 1);
    k.def("attention_bf16", &attention, "qkv"_a, "n_threads"_a = 1);
    k.def("swiglu_bf16", &swiglu, "x"_a, "gate"_a, "up"_a);
    k.def("cached_attention", &cached_attention, "q"_a, "k"_a, "v"_a, "n_threads"_a = 1,
          "window"_a = 0, "sinks"_a = py::none());
    k.def("causal_attention_bf16", &causal_attention, "q"_a, "k"_a, "v"_a, "n_threads"_a = 1,
          "window"_a = 0, "sinks"_a = py::none());
}

}  // namespace crispvl::binding
