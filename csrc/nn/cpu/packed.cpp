#include "nn/cpu/packed.h"

#include <algorithm>

#include "base/parallel.h"
#include "kernels/int8/kernels.h"
#include "nn/cpu/bf16_panel.h"
#include "nn/cpu/operand.h"
#include "nn/cpu/ready_panels.h"

namespace crispvl {
namespace {

using kernels::Epilogue;

std::vector<float> row_values(const ggml_tensor* x) {
    if (x == nullptr || x->data == nullptr) return {};
    return {floats(x), floats(x) + x->ne[0]};
}

}  // namespace

bool packs_as_int8(const std::vector<const Linear*>& linears) {
    const auto suits = [](const Linear* linear) {
        const ggml_tensor* weight = linear->weight();
        return weight->type == GGML_TYPE_Q8_0 && weight->ne[1] % kernels::kQuantBlock == 0;
    };
    return kernels::int8_kernels_name() != nullptr &&
           std::all_of(linears.begin(), linears.end(), suits);
}

// ---- norm ---------------------------------------------------------------------------------------

ggml_tensor* PackedNorm::operator()(Graph& g, ggml_tensor* x) const {
    const bool is_bf16 = operand_ == Operand::bf16;
    return make_operand(g, "packed norm", operand_, x->ne[0], {x},
                        is_bf16 ? compute_bf16 : compute_int8, this);
}

void PackedNorm::compute_bf16(ggml_tensor* y, int ith, int nth, void* self) {
    const Norm& norm = static_cast<const PackedNorm*>(self)->norm_;
    const ggml_tensor* x = y->src[0];
    kernels::norm_bf16(
        {floats(x), ggml_nrows(x), x->ne[0], floats(norm.weight()), floats(norm.bias()),
         norm.epsilon(), norm.kind() == NormKind::layer_norm, static_cast<uint16_t*>(y->data)},
        ith, nth);
}

void PackedNorm::compute_int8(ggml_tensor* y, int ith, int nth, void* self) {
    quantise_normed_rows(static_cast<const PackedNorm*>(self)->norm_, y->src[0], y, ith, nth);
}

// ---- linear -------------------------------------------------------------------------------------

PackedLinear::PackedLinear(const std::vector<const Linear*>& parts, Operand operand,
                           Epilogue epilogue, int n_threads, ggml_tensor* scale)
    : d_in_(parts.front()->weight()->ne[0]),
      d_out_(0),
      operand_(operand),
      epilogue_(epilogue),
      scale_(row_values(scale)) {
    for (const Linear* part : parts) d_out_ += part->weight()->ne[1];
    if (parts.front()->weight()->data == nullptr) return;  // a model that is only measured
    panels_ = kernels::allocate_aligned<char>(n_bytes());
    run_parallel(n_threads, [&](int i) {
        operand_ == Operand::bf16 ? pack_bf16(parts, i, n_threads) : pack_int8(parts, i, n_threads);
    });
    for (const Linear* part : parts) {
        std::vector<float> values = row_values(part->bias());
        values.resize(static_cast<size_t>(part->weight()->ne[1]));
        bias_.insert(bias_.end(), values.begin(), values.end());
    }
}

size_t PackedLinear::n_bytes() const {
    return static_cast<size_t>(operand_ == Operand::bf16
                                   ? kernels::packed_size(d_out_, d_in_) * 2
                                   : kernels::int8_packed_bytes(d_out_, d_in_));
}

// A thread packs whole panels: their rows may come from two parts.
void PackedLinear::pack_bf16(const std::vector<const Linear*>& parts, int ith, int nth) {
    uint16_t* panels = reinterpret_cast<uint16_t*>(panels_.get());
    const int64_t n_panels = kernels::panel_count(d_out_);
    const int64_t panel_size = kernels::packed_size(kernels::kPanelWidth, d_in_);
    std::vector<char> room(static_cast<size_t>(bf16_panel_room(d_in_)));
    for (int64_t i = n_panels * ith / nth; i < n_panels * (ith + 1) / nth; ++i) {
        PanelRows rows{};
        int64_t first = -i * kernels::kPanelWidth;  // of the part's rows in the panel
        for (const Linear* part : parts) {
            const ggml_tensor* weight = part->weight();
            const int64_t last = std::min(first + weight->ne[1], kernels::kPanelWidth);
            for (int64_t k = std::max<int64_t>(first, 0); k < last; ++k) {
                rows[static_cast<size_t>(k)] = {weight, k - first};
            }
            first += weight->ne[1];
        }
        load_bf16_panel(rows, d_in_, room.data(), panels + i * panel_size);
    }
}

// Every part's outputs are a multiple of a panel's.
void PackedLinear::pack_int8(const std::vector<const Linear*>& parts, int ith, int nth) {
    char* panel = panels_.get();
    for (const Linear* part : parts) {
        pack_panels(part->weight(), panel, ith, nth);
        panel += kernels::int8_packed_bytes(part->weight()->ne[1], d_in_);
    }
}

ggml_tensor* PackedLinear::input(Graph& g, ggml_tensor* x) const {
    return to_operand(g, operand_, x);
}

ggml_tensor* PackedLinear::operator()(Graph& g, ggml_tensor* x, ggml_tensor* residual) const {
    const ggml_custom_op_t compute = operand_ == Operand::bf16 ? compute_bf16 : compute_int8;
    if (epilogue_ == Epilogue::gelu) {
        return make_operand(g, "packed product", operand_, d_out_, {x}, compute, this);
    }
    const bool is_f32 = epilogue_ == Epilogue::residual_f32 || epilogue_ == Epilogue::store_f32;
    return g.custom("packed product", is_f32 ? GGML_TYPE_F32 : GGML_TYPE_BF16, d_out_,
                    {x, residual}, compute, this);
}

void PackedLinear::compute_bf16(ggml_tensor* y, int ith, int nth, void* self) {
    const PackedLinear& linear = *static_cast<const PackedLinear*>(self);
    const ggml_tensor* x = y->src[0];
    kernels::gemm_bf16({static_cast<const uint16_t*>(x->data), ggml_nrows(x), linear.d_in_,
                        linear.d_out_, reinterpret_cast<const uint16_t*>(linear.panels_.get()),
                        linear.bias_.data(), linear.epilogue_, y->data, floats(y->src[1]),
                        linear.scale_.empty() ? nullptr : linear.scale_.data()},
                       ith, nth);
}

void PackedLinear::compute_int8(ggml_tensor* y, int ith, int nth, void* self) {
    const PackedLinear& linear = *static_cast<const PackedLinear*>(self);
    const ggml_tensor* x = y->src[0];
    kernels::gemm_int8(
        {x->data, ggml_nrows(x), linear.d_in_, linear.d_out_, linear.bias_.data(), linear.epilogue_,
         y->data, floats(y->src[1]), linear.scale_.empty() ? nullptr : linear.scale_.data()},
        linear.panels_.get(), ith, nth);
}

// ---- attention ----------------------------------------------------------------------------------

size_t PackedAttention::scratch_bytes(int64_t n_tokens) const {
    const kernels::AttentionJob job{nullptr, 1, n_tokens, n_heads_, d_head_, nullptr};
    return GGML_PAD(kernels::attention_scratch_bytes(job), kernels::kCacheLine);
}

ggml_tensor* PackedAttention::scratch(Graph& g, int64_t n_tokens, int n_threads) const {
    return g.input(GGML_TYPE_I8, static_cast<int64_t>(scratch_bytes(n_tokens)), n_threads);
}

ggml_tensor* PackedAttention::operator()(Graph& g, ggml_tensor* qkv, ggml_tensor* scratch) const {
    return g.custom("packed attention", GGML_TYPE_BF16, qkv->ne[0] / 3, {qkv, scratch}, compute,
                    this);
}

void PackedAttention::compute(ggml_tensor* y, int ith, int nth, void* self) {
    const PackedAttention& attention = *static_cast<const PackedAttention*>(self);
    const ggml_tensor *qkv = y->src[0], *scratch = y->src[1];
    const kernels::AttentionJob job{static_cast<const uint16_t*>(qkv->data),
                                    qkv->ne[2],
                                    qkv->ne[1],
                                    attention.n_heads_,
                                    attention.d_head_,
                                    static_cast<uint16_t*>(y->data)};
    char* own = static_cast<char*>(scratch->data) + static_cast<size_t>(ith) * scratch->nb[1];
    kernels::attention_bf16(job, own, ith, nth);
}

// ---- causal attention ---------------------------------------------------------------------------

ggml_tensor* CausalAttention::scratch(Graph& g, int64_t n_kv, int64_t d_head, int n_threads) {
    const kernels::CausalAttentionJob job{nullptr, nullptr, nullptr,      0,       n_kv,   1,
                                          1,       d_head,  /*window=*/0, nullptr, nullptr};
    const size_t n_bytes = GGML_PAD(kernels::attention_scratch_bytes(job), kernels::kCacheLine);
    return g.input(GGML_TYPE_I8, static_cast<int64_t>(n_bytes), n_threads);
}

ggml_tensor* CausalAttention::apply(Graph& g, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                                    ggml_tensor* sinks, int64_t window, ggml_tensor* scratch) {
    ggml_tensor* sources[] = {q, k, v, scratch, sinks};
    void* kept = const_cast<int64_t*>(g.keep(window));
    ggml_tensor* y =
        ggml_custom_4d(g.ctx(), GGML_TYPE_BF16, q->ne[0] * q->ne[1], q->ne[2], 1, 1, sources,
                       sinks != nullptr ? 5 : 4, compute, GGML_N_TASKS_MAX, kept);
    ggml_set_name(y, "causal attention");
    return y;
}

void CausalAttention::compute(ggml_tensor* y, int ith, int nth, void* window) {
    const ggml_tensor *q = y->src[0], *k = y->src[1], *v = y->src[2], *scratch = y->src[3];
    const int64_t n_new = q->ne[2];
    const kernels::CausalAttentionJob job{floats(q),
                                          static_cast<const uint16_t*>(k->data),
                                          static_cast<const uint16_t*>(v->data),
                                          k->ne[2] - n_new,
                                          n_new,
                                          q->ne[1],
                                          k->ne[1],
                                          q->ne[0],
                                          *static_cast<const int64_t*>(window),
                                          floats(y->src[4]),
                                          static_cast<uint16_t*>(y->data)};
    char* own = static_cast<char*>(scratch->data) + static_cast<size_t>(ith) * scratch->nb[1];
    kernels::attention_bf16(job, own, ith, nth);
}

}  // namespace crispvl
