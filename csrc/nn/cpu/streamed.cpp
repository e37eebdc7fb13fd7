#include "nn/cpu/streamed.h"

#include <algorithm>

#include "kernels/int8/kernels.h"

namespace crispvl {
namespace {

using kernels::Epilogue;
using kernels::kInt8Columns;
using kernels::kPanelWidth;

// Row-wise; empty where there is none.
std::vector<float> joined_bias(const std::vector<const Linear*>& parts) {
    std::vector<float> bias;
    for (const Linear* part : parts) {
        const float* values = floats(part->bias());
        if (values != nullptr) bias.insert(bias.end(), values, values + part->weight()->ne[1]);
    }
    return bias;
}

// What `make` makes of the fastest operand that it can be made of.
template <typename Made, typename Make>
std::optional<Made> fastest(const Make& make) {
    std::optional<Made> made = make(Operand::int8);
    return made ? made : make(Operand::bf16);
}

bool multiplies_as_bytes(const Linear* linear) {
    const std::optional<kernels::RowType> type = row_type(linear->weight()->type);
    return type && kernels::is_quantised(*type) && linear->weight()->ne[1] % kInt8Columns == 0;
}

}  // namespace

// Whether this CPU's kernels multiply these linears as such operands.
bool StreamedLinear::supports(const std::vector<const Linear*>& parts, Operand operand,
                              Epilogue epilogue) {
    if (operand == Operand::bf16) {
        return kernels::bf16_kernels_name() != nullptr && parts.front()->weight()->ne[0] % 2 == 0;
    }
    const bool are_alike = parts.front()->weight()->type == parts.back()->weight()->type;
    return kernels::int8_kernels_name() != nullptr && (are_alike || epilogue != Epilogue::swiglu) &&
           std::all_of(parts.begin(), parts.end(), multiplies_as_bytes);
}

StreamedLinear::StreamedLinear(const std::vector<const Linear*>& parts, Operand operand,
                               Epilogue epilogue, const ReadyPanels& panels)
    : d_in_(parts.front()->weight()->ne[0]), n_rows_(0), operand_(operand), epilogue_(epilogue) {
    for (const Linear* part : parts) {
        weights_.push_back(part->weight());
        if (operand == Operand::int8) rows_.push_back(*panels.rows_of(part->weight()));
        n_rows_ += part->weight()->ne[1];
    }
    bias_ = joined_bias(parts);
    if (bias_.empty() || operand_ == Operand::int8) return;
    const std::vector<float> by_row = std::move(bias_);
    bias_.assign(static_cast<size_t>(kernels::panel_count(n_rows_) * kPanelWidth), 0.0f);
    for (size_t i = 0; i < bias_.size(); ++i) {
        const int64_t at = static_cast<int64_t>(i);
        const WeightRow row = row_of(at / kPanelWidth, at % kPanelWidth);
        int64_t i_row = row.i_row;
        for (size_t part = 0; row.weight != nullptr && weights_[part] != row.weight; ++part) {
            i_row += weights_[part]->ne[1];
        }
        if (row.weight != nullptr) bias_[i] = by_row[static_cast<size_t>(i_row)];
    }
}

std::optional<StreamedLinear> StreamedLinear::joined(const std::vector<const Linear*>& parts,
                                                     const ReadyPanels& panels) {
    return fastest<StreamedLinear>([&](Operand operand) -> std::optional<StreamedLinear> {
        if (!supports(parts, operand, Epilogue::store_f32)) return std::nullopt;
        return StreamedLinear(parts, operand, Epilogue::store_f32, panels);
    });
}

std::optional<StreamedLinear> StreamedLinear::added(const Linear& part, const ReadyPanels& panels) {
    return fastest<StreamedLinear>([&](Operand operand) -> std::optional<StreamedLinear> {
        if (!supports({&part}, operand, Epilogue::residual_f32)) return std::nullopt;
        return StreamedLinear({&part}, operand, Epilogue::residual_f32, panels);
    });
}

// One operand for both, as the first product's result is the second's input.
std::optional<Gated<StreamedLinear>> StreamedLinear::gated(const Linear& gate, const Linear& up,
                                                           const Linear& down,
                                                           const ReadyPanels& panels) {
    return fastest<Gated<StreamedLinear>>(
        [&](Operand operand) -> std::optional<Gated<StreamedLinear>> {
            if (!supports({&gate, &up}, operand, Epilogue::swiglu) ||
                !supports({&down}, operand, Epilogue::residual_f32)) {
                return std::nullopt;
            }
            return Gated<StreamedLinear>{
                StreamedLinear({&gate, &up}, operand, Epilogue::swiglu, panels),
                StreamedLinear({&down}, operand, Epilogue::residual_f32, panels)};
        });
}

ggml_tensor* StreamedLinear::input(Graph& g, ggml_tensor* x) const {
    return x->type == GGML_TYPE_I8 ? x : to_operand(g, operand_, x);
}

ggml_tensor* StreamedLinear::scratch(Graph& g, int64_t d_in, int n_threads) {
    // For BF16, with the panel itself. Bytes take less.
    const int64_t n_bytes = bf16_panel_room(d_in) + kPanelWidth * d_in * 2;
    static_assert(bf16_panel_room(256) > kernels::int8_columns_bytes(256));
    return g.input(GGML_TYPE_I8, GGML_PAD(n_bytes, 64), n_threads);
}

ggml_tensor* StreamedLinear::operator()(Graph& g, ggml_tensor* x, ggml_tensor* residual,
                                        ggml_tensor* scratch) const {
    const char* label = "streamed product";
    const ggml_custom_op_t compute = operand_ == Operand::bf16 ? compute_bf16 : compute_int8;
    if (is_swiglu()) return make_operand(g, label, operand_, d_out(), {x, scratch}, compute, this);
    return g.custom(label, GGML_TYPE_F32, d_out(), {x, scratch, residual}, compute, this);
}

// ---- BF16 ---------------------------------------------------------------------------------------

WeightRow StreamedLinear::row_of(int64_t i_panel, int64_t i) const {
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

void StreamedLinear::compute_bf16(ggml_tensor* y, int ith, int nth, void* self) {
    const StreamedLinear& linear = *static_cast<const StreamedLinear*>(self);
    const ggml_tensor *x = y->src[0], *scratch = y->src[1];
    const kernels::GemmJob job{static_cast<const uint16_t*>(x->data),
                               ggml_nrows(x),
                               linear.d_in_,
                               linear.n_rows_,
                               /*panels=*/nullptr,
                               linear.bias(),
                               linear.epilogue_,
                               y->data,
                               floats(y->src[2]),
                               /*scale=*/nullptr};
    char* own = static_cast<char*>(scratch->data) + static_cast<size_t>(ith) * scratch->nb[1];
    uint16_t* panel = reinterpret_cast<uint16_t*>(own + bf16_panel_room(linear.d_in_));
    const int64_t n_panels = kernels::panel_count(linear.n_rows_);
    for (int64_t i = n_panels * ith / nth; i < n_panels * (ith + 1) / nth; ++i) {
        PanelRows rows;
        for (int64_t k = 0; k < kPanelWidth; ++k)
            rows[static_cast<size_t>(k)] = linear.row_of(i, k);
        load_bf16_panel(rows, linear.d_in_, own, panel);
        kernels::gemm_bf16_panel(job, i, panel);
    }
}

// ---- bytes --------------------------------------------------------------------------------------

// Every part's outputs are a multiple of 32.
kernels::Int8Columns StreamedLinear::columns(int64_t i_columns) const {
    int64_t i_row = i_columns * kInt8Columns;
    auto part = rows_.begin();
    for (; i_row >= part->n; ++part) i_row -= part->n;
    const float* up_bias = is_swiglu() && bias() != nullptr ? bias() + d_out() : nullptr;
    return {part->type,      part->from(i_row), is_swiglu() ? rows_[1].from(i_row) : nullptr,
            part->row_bytes, kInt8Columns,      up_bias};
}

void StreamedLinear::compute_int8(ggml_tensor* y, int ith, int nth, void* self) {
    const StreamedLinear& linear = *static_cast<const StreamedLinear*>(self);
    const ggml_tensor *x = y->src[0], *scratch = y->src[1];
    const kernels::Int8GemmJob job{x->data,          ggml_nrows(x),     linear.d_in_,
                                   linear.d_out(),   linear.bias(),     linear.epilogue_,
                                   y->data,          floats(y->src[2]),
                                   /*scale=*/nullptr};
    char* own = static_cast<char*>(scratch->data) + static_cast<size_t>(ith) * scratch->nb[1];
    const int64_t n_columns = linear.d_out() / kInt8Columns;
    for (int64_t i = n_columns * ith / nth; i < n_columns * (ith + 1) / nth; ++i) {
        kernels::gemm_int8_columns(job, linear.columns(i), i, own);
    }
}

}  // namespace crispvl
