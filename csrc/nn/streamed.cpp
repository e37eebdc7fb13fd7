#include "nn/streamed.h"

#include <algorithm>

#include "nn/operand.h"

namespace crispvl {
namespace {

using kernels::Epilogue;
using kernels::kPanelWidth;

void round_rows(ggml_tensor* y, int ith, int nth, void* /*unused*/) {
    const ggml_tensor* x = y->src[0];
    const int64_t n = ggml_nelements(x), begin = n * ith / nth, end = n * (ith + 1) / nth;
    kernels::round_bf16(floats(x) + begin, end - begin, static_cast<uint16_t*>(y->data) + begin);
}

}  // namespace

ggml_tensor* rounded(Graph& g, ggml_tensor* x) {
    return g.custom("rounding", GGML_TYPE_BF16, x->ne[0], {x}, round_rows, nullptr);
}

StreamedLinear::StreamedLinear(const std::vector<const Linear*>& parts, Epilogue epilogue)
    : d_in_(parts.front()->weight()->ne[0]), n_rows_(0), epilogue_(epilogue) {
    for (const Linear* part : parts) {
        weights_.push_back(part->weight());
        n_rows_ += part->weight()->ne[1];
    }
    if (parts.front()->bias() == nullptr || parts.front()->bias()->data == nullptr) return;
    const int64_t n_panels = kernels::panel_count(n_rows_);
    for (int64_t i_panel = 0; i_panel < n_panels; ++i_panel) {
        for (int64_t i = 0; i < kPanelWidth; ++i) {
            const Row row = row_of(i_panel, i);
            const auto part = std::find(weights_.begin(), weights_.end(), row.weight);
            bias_.push_back(
                row.weight == nullptr
                    ? 0.0f
                    : floats(
                          parts[static_cast<size_t>(part - weights_.begin())]->bias())[row.i_row]);
        }
    }
}

StreamedLinear::Row StreamedLinear::row_of(int64_t i_panel, int64_t i) const {
    if (is_swiglu()) {
        constexpr int64_t kHalf = kPanelWidth / 2;
        const int64_t i_row = i_panel * kHalf + i % kHalf;
        const ggml_tensor* weight = weights_[i < kHalf ? 0 : 1];
        return {i_row < weight->ne[1] ? weight : nullptr, i_row};
    }
    int64_t i_row = i_panel * kPanelWidth + i;
    for (const ggml_tensor* weight : weights_) {
        if (i_row < weight->ne[1]) return {weight, i_row};
        i_row -= weight->ne[1];
    }
    return {nullptr, 0};
}

ggml_tensor* StreamedLinear::scratch(Graph& g, int64_t d_in, int n_threads) {
    // A row in F32, 64 rows in BF16, and the panel made of them.
    const int64_t n_bytes = d_in * 4 + 2 * kPanelWidth * d_in * 2;
    return g.input(GGML_TYPE_I8, GGML_PAD(n_bytes, 64), n_threads);
}

void StreamedLinear::load_panel(int64_t i_panel, char* scratch, uint16_t* panel) const {
    float* values = reinterpret_cast<float*>(scratch);
    uint16_t* rows = reinterpret_cast<uint16_t*>(scratch + d_in_ * 4);
    for (int64_t i = 0; i < kPanelWidth; ++i) {
        const Row row = row_of(i_panel, i);
        uint16_t* out = rows + i * d_in_;
        if (row.weight == nullptr) {
            std::fill_n(out, d_in_, uint16_t{0});
            continue;
        }
        const char* data = static_cast<const char*>(row.weight->data) +
                           static_cast<size_t>(row.i_row) * row.weight->nb[1];
        if (row.weight->type == GGML_TYPE_BF16) {
            std::copy_n(reinterpret_cast<const uint16_t*>(data), d_in_, out);
            continue;
        }
        ggml_get_type_traits(row.weight->type)->to_float(data, values, d_in_);
        kernels::round_bf16(values, d_in_, out);
    }
    kernels::pack_panel_bf16(rows, d_in_, panel);
}

ggml_tensor* StreamedLinear::operator()(Graph& g, ggml_tensor* x, ggml_tensor* scratch,
                                        ggml_tensor* residual) const {
    const bool is_f32 = epilogue_ == Epilogue::store_f32 || epilogue_ == Epilogue::residual_f32;
    return g.custom("streamed product", is_f32 ? GGML_TYPE_F32 : GGML_TYPE_BF16,
                    is_swiglu() ? n_rows_ / 2 : n_rows_, {x, scratch, residual}, compute, this);
}

void StreamedLinear::compute(ggml_tensor* y, int ith, int nth, void* self) {
    const StreamedLinear& linear = *static_cast<const StreamedLinear*>(self);
    const ggml_tensor *x = y->src[0], *scratch = y->src[1];
    const kernels::GemmJob job{static_cast<const uint16_t*>(x->data),
                               ggml_nrows(x),
                               linear.d_in_,
                               linear.n_rows_,
                               /*panels=*/nullptr,
                               linear.bias_.empty() ? nullptr : linear.bias_.data(),
                               linear.epilogue_,
                               y->data,
                               floats(y->src[2]),
                               /*scale=*/nullptr};
    char* own = static_cast<char*>(scratch->data) + static_cast<size_t>(ith) * scratch->nb[1];
    uint16_t* panel =
        reinterpret_cast<uint16_t*>(own + linear.d_in_ * 4 + kPanelWidth * linear.d_in_ * 2);
    const int64_t n_panels = kernels::panel_count(linear.n_rows_);
    for (int64_t i = n_panels * ith / nth; i < n_panels * (ith + 1) / nth; ++i) {
        linear.load_panel(i, own, panel);
        kernels::gemm_bf16_panel(job, i, panel);
    }
}

}  // namespace crispvl
