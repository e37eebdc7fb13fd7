// The encoder's blocks on our CPU kernels: weights packed once at load, norms, activations and
// residuals fused into their neighbours. Used where kernels/cpu.h finds the instructions; the plain
// blocks beside them (linear.h, norm.h, attention.h) are the reference and the fallback.
#pragma once

#include <vector>

#include "kernels/bf16/kernels.h"
#include "kernels/simd/aligned.h"
#include "nn/cpu/operand.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace crispvl {

// Whether these weights can be packed as bytes: all of them Q8_0, on a CPU that has the kernels.
bool packs_as_int8(const std::vector<const Linear*>& linears);

// Norm whose result is an operand.
class PackedNorm {
public:
    PackedNorm(const Norm& norm, Operand operand) : norm_(norm), operand_(operand) {}
    // F32 [width, …] -> operand [width, …]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

private:
    static void compute_bf16(ggml_tensor* y, int ith, int nth, void* self);
    static void compute_int8(ggml_tensor* y, int ith, int nth, void* self);
    Norm norm_;
    Operand operand_;
};

// One or several Linears over the same input as one product; outputs come one after another.
class PackedLinear {
public:
    // `scale` (F32 [d_out] or null) multiplies the result before the residual is added.
    // `n_threads` pack.
    PackedLinear(const std::vector<const Linear*>& parts, Operand operand,
                 kernels::Epilogue epilogue, int n_threads, ggml_tensor* scale = nullptr);

    // BF16 [d_in, …] -> operand
    ggml_tensor* input(Graph& g, ggml_tensor* x) const;
    // operand [d_in, …] -> [d_out, …] of the epilogue's type; `residual` F32 [d_out, …] where it
    // has one.
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, ggml_tensor* residual = nullptr) const;

    size_t n_bytes() const;
    Operand operand() const { return operand_; }

private:
    static void compute_bf16(ggml_tensor* y, int ith, int nth, void* self);
    static void compute_int8(ggml_tensor* y, int ith, int nth, void* self);
    void pack_bf16(const std::vector<const Linear*>& parts, int ith, int nth);
    void pack_int8(const std::vector<const Linear*>& parts, int ith, int nth);

    int64_t d_in_, d_out_;
    Operand operand_;
    kernels::Epilogue epilogue_;
    kernels::AlignedArray<char> panels_;
    std::vector<float> bias_, scale_;
};

// Attention over BF16 [3 * n_heads * d_head, n_tokens, n_tiles] without a mask.
class PackedAttention {
public:
    PackedAttention(int64_t n_heads, int64_t d_head) : n_heads_(n_heads), d_head_(d_head) {}
    static bool supports(int64_t d_head) { return d_head % kernels::kPanelWidth == 0; }

    // Working memory for `n_threads` threads; one serves all layers of a graph.
    ggml_tensor* scratch(Graph& g, int64_t n_tokens, int n_threads) const;
    // -> BF16 [n_heads * d_head, n_tokens, n_tiles]
    ggml_tensor* operator()(Graph& g, ggml_tensor* qkv, ggml_tensor* scratch) const;

private:
    static void compute(ggml_tensor* y, int ith, int nth, void* self);
    size_t scratch_bytes(int64_t n_tokens) const;

    int64_t n_heads_, d_head_;
};

// Attention of one sequence's new tokens over its cache, causal, on our kernels.
class CausalAttention {
public:
    static bool supports(int64_t d_head, ggml_type cache_type) {
        return PackedAttention::supports(d_head) && cache_type == GGML_TYPE_F16;
    }
    static ggml_tensor* scratch(Graph& g, int64_t n_kv, int64_t d_head, int n_threads);
    // q F32 [d_head, n_heads, n_new], k and v F16 [d_head, n_kv_heads, n_kv] with the new tokens
    // last; sinks F32 [n_heads] or null; window 0: all is seen -> BF16 [n_heads * d_head, n_new]
    static ggml_tensor* apply(Graph& g, ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                              ggml_tensor* sinks, int64_t window, ggml_tensor* scratch);

private:
    static void compute(ggml_tensor* y, int ith, int nth, void* window);
};

}  // namespace crispvl
