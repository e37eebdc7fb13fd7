#include "nn/cpu/operand.h"

#include "kernels/bf16/kernels.h"

namespace crispvl {
namespace {

void round_f32(ggml_tensor* y, int ith, int nth, void* /*unused*/) {
    const ggml_tensor* x = y->src[0];
    const int64_t n = ggml_nelements(x), begin = n * ith / nth, end = n * (ith + 1) / nth;
    kernels::round_bf16(floats(x) + begin, end - begin, static_cast<uint16_t*>(y->data) + begin);
}

void quantise_f32(ggml_tensor* y, int ith, int nth, void* /*unused*/) {
    const ggml_tensor* x = y->src[0];
    kernels::quantise_rows({floats(x), ggml_nrows(x), x->ne[0], /*weight=*/nullptr,
                            /*bias=*/nullptr, /*epsilon=*/0.0f, /*subtract_mean=*/false, y->data},
                           ith, nth);
}

void quantise_bf16(ggml_tensor* y, int ith, int nth, void* /*unused*/) {
    const ggml_tensor* x = y->src[0];
    kernels::quantise_bf16_rows(static_cast<const uint16_t*>(x->data), ggml_nrows(x), x->ne[0],
                                y->data, ith, nth);
}

}  // namespace

ggml_tensor* make_operand(Graph& g, const char* label, Operand operand, int64_t d,
                          std::initializer_list<ggml_tensor*> sources, ggml_custom_op_t compute,
                          const void* self) {
    if (operand == Operand::bf16) return g.custom(label, GGML_TYPE_BF16, d, sources, compute, self);
    return g.custom(label, GGML_TYPE_I8, kernels::quantised_row_bytes(d), sources, compute, self);
}

ggml_tensor* to_operand(Graph& g, Operand operand, ggml_tensor* x) {
    const bool is_bf16 = x->type == GGML_TYPE_BF16;
    if (operand == Operand::bf16 && is_bf16) return x;
    return make_operand(g, "rounding", operand, x->ne[0], {x},
                        operand == Operand::bf16 ? round_f32
                        : is_bf16                ? quantise_bf16
                                                 : quantise_f32,
                        nullptr);
}

std::optional<kernels::RowType> row_type(ggml_type type) {
    using kernels::RowType;
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

}  // namespace crispvl
