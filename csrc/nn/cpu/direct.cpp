#include "nn/cpu/direct.h"

#include <algorithm>

namespace crispvl {
namespace {

using kernels::kInt8PanelOutputs;
using kernels::RowEpilogue;
using kernels::RowType;

// Where share `i` of `n` of a matrix's rows begins: at a panel.
int64_t share_of_rows(int64_t n_rows, int i, int n) {
    const int64_t n_panels = (n_rows + kInt8PanelOutputs - 1) / kInt8PanelOutputs;
    return std::min(n_rows, n_panels * i / n * kInt8PanelOutputs);
}

}  // namespace

DirectLinear::DirectLinear(const std::vector<const Linear*>& parts, RowEpilogue epilogue,
                           const ReadyPanels& panels)
    : epilogue_(epilogue),
      is_quantised_(kernels::is_quantised(*row_type(parts.front()->weight()->type))),
      d_in_(parts.front()->weight()->ne[0]),
      d_out_(0) {
    for (const Linear* part : parts) {
        parts_.push_back({*panels.rows_of(part->weight()), part->bias()});
        d_out_ += part->weight()->ne[1];
    }
    if (is_swiglu()) d_out_ /= 2;
}

// Whether the kernels read these weights' types and shapes.
bool DirectLinear::supports(const std::vector<const Linear*>& parts, RowEpilogue epilogue) {
    const auto type_of = [](const Linear* part) { return row_type(part->weight()->type); };
    return std::all_of(parts.begin(), parts.end(), [&](const Linear* part) {
        const std::optional<RowType> type = type_of(part), first = type_of(parts.front());
        if (!type || !first) return false;
        return epilogue == RowEpilogue::swiglu
                   ? *type == *first
                   : kernels::is_quantised(*type) == kernels::is_quantised(*first);
    });
}

std::optional<DirectLinear> DirectLinear::joined(const std::vector<const Linear*>& parts,
                                                 const ReadyPanels& panels) {
    if (!supports(parts, RowEpilogue::store)) return std::nullopt;
    return DirectLinear(parts, RowEpilogue::store, panels);
}

std::optional<DirectLinear> DirectLinear::added(const Linear& part, const ReadyPanels& panels) {
    if (!supports({&part}, RowEpilogue::residual)) return std::nullopt;
    return DirectLinear({&part}, RowEpilogue::residual, panels);
}

std::optional<Gated<DirectLinear>> DirectLinear::gated(const Linear& gate, const Linear& up,
                                                       const Linear& down,
                                                       const ReadyPanels& panels) {
    if (!supports({&gate, &up}, RowEpilogue::swiglu) || !supports({&down}, RowEpilogue::residual)) {
        return std::nullopt;
    }
    return Gated<DirectLinear>{DirectLinear({&gate, &up}, RowEpilogue::swiglu, panels),
                               DirectLinear({&down}, RowEpilogue::residual, panels)};
}

ggml_tensor* DirectLinear::input(Graph& g, ggml_tensor* x) const {
    return is_quantised_ ? to_operand(g, Operand::int8, x) : x;
}

ggml_tensor* DirectLinear::operator()(Graph& g, ggml_tensor* input, ggml_tensor* residual,
                                      ggml_tensor* /*scratch*/) const {
    return g.custom("direct product", GGML_TYPE_F32, d_out_, {input, residual}, compute, this);
}

void DirectLinear::compute(ggml_tensor* y, int ith, int nth, void* self) {
    const DirectLinear& linear = *static_cast<const DirectLinear*>(self);
    const ggml_tensor *x = y->src[0], *residual = y->src[1];
    const Part* up = linear.is_swiglu() ? &linear.parts_[1] : nullptr;
    int64_t first = 0;
    for (const Part& part : linear.parts_) {
        const kernels::RowsJob job{part.rows.type,
                                   part.rows.data,
                                   up != nullptr ? up->rows.data : nullptr,
                                   part.rows.row_bytes,
                                   floats(part.bias),
                                   up != nullptr ? floats(up->bias) : nullptr,
                                   x->data,
                                   y->ne[1],
                                   linear.d_in_,
                                   linear.epilogue_,
                                   static_cast<float*>(y->data) + first,
                                   linear.d_out_,
                                   residual != nullptr ? floats(residual) + first : nullptr};
        kernels::rows_product(job, share_of_rows(part.rows.n, ith, nth),
                              share_of_rows(part.rows.n, ith + 1, nth));
        if (up != nullptr) return;
        first += part.rows.n;
    }
}

ggml_tensor* DirectNorm::operator()(Graph& g, ggml_tensor* x) const {
    if (!is_quantised_) return norm_(g, x);
    return make_operand(g, "direct norm", Operand::int8, x->ne[0], {x}, compute, this);
}

void DirectNorm::compute(ggml_tensor* y, int ith, int nth, void* self) {
    quantise_normed_rows(static_cast<const DirectNorm*>(self)->norm_, y->src[0], y, ith, nth);
}

}  // namespace crispvl
