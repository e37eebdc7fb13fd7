// Linears of the decoder on our 8-bit CPU kernels for a few tokens at once: a decode step, a batch
// of them, a short prompt. Such a step is bound by reading the weights, so these are read once,
// where they are, for all tokens.
#pragma once

#include <optional>
#include <vector>

#include "kernels/int8/kernels.h"
#include "nn/cpu/operand.h"
#include "nn/cpu/ready_panels.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace crispvl {

// The RMSNorm before a DirectLinear.
class DirectNorm {
public:
    DirectNorm(const Norm& norm, bool is_quantised) : norm_(norm), is_quantised_(is_quantised) {}
    // F32 [d, n_tokens] -> what the product takes
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

private:
    static void compute(ggml_tensor* y, int ith, int nth, void* self);

    Norm norm_;
    bool is_quantised_;
};

class DirectLinear {
public:
    // `parts` read the same input; their outputs come one after another, except with swiglu, which
    // takes a gate and an up part. `panels` outlive it.
    DirectLinear(const std::vector<const Linear*>& parts, kernels::RowEpilogue epilogue,
                 const ReadyPanels& panels);

    // What a decoder block is made of; none where the kernels do not read the weights.
    static std::optional<DirectLinear> joined(const std::vector<const Linear*>& parts,
                                              const ReadyPanels& panels);
    static std::optional<DirectLinear> added(const Linear& part, const ReadyPanels& panels);
    static std::optional<Gated<DirectLinear>> gated(const Linear& gate, const Linear& up,
                                                    const Linear& down, const ReadyPanels& panels);

    // The norm before it, whose result is its input.
    using Norm = DirectNorm;
    Norm norm_before(const crispvl::Norm& norm) const { return {norm, is_quantised_}; }
    // What operator() takes for x, F32 [d_in, n_tokens]: x itself, or x rounded to 8 bits where the
    // weights are quantised.
    ggml_tensor* input(Graph& g, ggml_tensor* x) const;

    // -> F32 [d_out, n_tokens]; `residual` of that shape where the epilogue has one. It needs no
    // working memory.
    ggml_tensor* operator()(Graph& g, ggml_tensor* input, ggml_tensor* residual = nullptr,
                            ggml_tensor* scratch = nullptr) const;

private:
    static bool supports(const std::vector<const Linear*>& parts, kernels::RowEpilogue epilogue);
    static void compute(ggml_tensor* y, int ith, int nth, void* self);
    bool is_swiglu() const { return epilogue_ == kernels::RowEpilogue::swiglu; }

    struct Part {
        MatrixRows rows;
        const ggml_tensor* bias;  // or null
    };
    std::vector<Part> parts_;
    kernels::RowEpilogue epilogue_;
    bool is_quantised_;
    int64_t d_in_, d_out_;
};

}  // namespace crispvl
