#include "nn/direct.h"

#include <algorithm>
#include <optional>

#include "nn/operand.h"

namespace crispvl {
namespace {

using kernels::RowEpilogue;
using kernels::RowType;

std::optional<RowType> row_type(ggml_type type) {
    switch (type) {
        case GGML_TYPE_Q4_0:
            return RowType::q4_0;
        case GGML_TYPE_Q4_1:
            return RowType::q4_1;
        case GGML_TYPE_Q5_0:
            return RowType::q5_0;
        case GGML_TYPE_Q5_1:
            return RowType::q5_1;
        case GGML_TYPE_Q8_0:
            return RowType::q8_0;
        case GGML_TYPE_Q4_K:
            return RowType::q4_k;
        case GGML_TYPE_Q5_K:
            return RowType::q5_k;
        case GGML_TYPE_Q6_K:
            return RowType::q6_k;
        case GGML_TYPE_F16:
            return RowType::f16;
        case GGML_TYPE_BF16:
            return RowType::bf16;
        case GGML_TYPE_F32:
            return RowType::f32;
        default:
            return std::nullopt;
    }
}

ggml_tensor* quantised(Graph& g, const char* label, ggml_tensor* x, ggml_custom_op_t compute,
                       const void* self) {
    const int64_t n_bytes = kernels::quantised_row_bytes(x->ne[0]);
    return g.custom(label, GGML_TYPE_I8, n_bytes, {x}, compute, self);
}

void quantise(ggml_tensor* y, int ith, int nth, void* /*unused*/) {
    const ggml_tensor* x = y->src[0];
    kernels::quantise_rows({floats(x), ggml_nrows(x), x->ne[0], /*weight=*/nullptr,
                            /*bias=*/nullptr, /*epsilon=*/0.0f, /*subtract_mean=*/false, y->data},
                           ith, nth);
}

}  // namespace

DirectLinear::DirectLinear(const std::vector<const Linear*>& parts, RowEpilogue epilogue)
    : epilogue_(epilogue),
      is_quantised_(kernels::is_quantised(*row_type(parts.front()->weight()->type))),
      d_in_(parts.front()->weight()->ne[0]),
      d_out_(0) {
    for (const Linear* part : parts) {
        parts_.push_back(*part);
        d_out_ += part->weight()->ne[1];
    }
    if (is_swiglu()) d_out_ /= 2;
}

bool DirectLinear::supports(const std::vector<const Linear*>& parts) {
    const auto type_of = [](const Linear* part) { return row_type(part->weight()->type); };
    return std::all_of(parts.begin(), parts.end(), [&](const Linear* part) {
        const std::optional<RowType> type = type_of(part), first = type_of(parts.front());
        return type && first && kernels::is_quantised(*type) == kernels::is_quantised(*first);
    });
}

ggml_tensor* DirectLinear::input(Graph& g, ggml_tensor* x) const {
    return is_quantised_ ? quantised(g, "rounding", x, quantise, nullptr) : x;
}

ggml_tensor* DirectLinear::operator()(Graph& g, ggml_tensor* input, ggml_tensor* residual) const {
    return g.custom("direct product", GGML_TYPE_F32, d_out_, {input, residual}, compute, this);
}

void DirectLinear::compute(ggml_tensor* y, int ith, int nth, void* self) {
    const DirectLinear& linear = *static_cast<const DirectLinear*>(self);
    const ggml_tensor *x = y->src[0], *residual = y->src[1];
    const Linear* up = linear.is_swiglu() ? &linear.parts_[1] : nullptr;
    int64_t first = 0;
    for (const Linear& part : linear.parts_) {
        const ggml_tensor* weight = part.weight();
        const int64_t n_rows = weight->ne[1];
        const kernels::RowsJob job{*row_type(weight->type),
                                   weight->data,
                                   up != nullptr ? up->weight()->data : nullptr,
                                   weight->nb[1],
                                   floats(part.bias()),
                                   up != nullptr ? floats(up->bias()) : nullptr,
                                   x->data,
                                   y->ne[1],
                                   linear.d_in_,
                                   linear.epilogue_,
                                   static_cast<float*>(y->data) + first,
                                   linear.d_out_,
                                   residual != nullptr ? floats(residual) + first : nullptr};
        kernels::rows_product(job, n_rows * ith / nth, n_rows * (ith + 1) / nth);
        if (up != nullptr) return;
        first += n_rows;
    }
}

ggml_tensor* DirectNorm::operator()(Graph& g, ggml_tensor* x) const {
    return is_quantised_ ? quantised(g, "direct norm", x, compute, this) : norm_(g, x);
}

void DirectNorm::compute(ggml_tensor* y, int ith, int nth, void* self) {
    quantise_normed_rows(static_cast<const DirectNorm*>(self)->norm_, y->src[0], y, ith, nth);
}

}  // namespace crispvl
