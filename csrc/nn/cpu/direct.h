// Linears of the decoder on our 8-bit CPU kernels for a few tokens at once: a decode step, a batch
// of them, a short prompt. Such a step is bound by reading the weights, so these are read once,
// where they lie, for all tokens.
#pragma once

#include <vector>

#include "kernels/int8/kernels.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace crispvl {

class DirectLinear {
public:
    // `parts` read the same input; their outputs stand one after another, except with swiglu, which
    // takes a gate and an up part.
    DirectLinear(const std::vector<const Linear*>& parts, kernels::RowEpilogue epilogue);

    // Whether the kernels read these weights' types and shapes.
    static bool supports(const std::vector<const Linear*>& parts, kernels::RowEpilogue epilogue);

    // What operator() takes for x, F32 [d_in, n_tokens]: x itself, or x rounded to 8 bits where the
    // weights are quantised.
    ggml_tensor* input(Graph& g, ggml_tensor* x) const;

    // -> F32 [d_out, n_tokens]; `residual` of that shape where the epilogue has one
    ggml_tensor* operator()(Graph& g, ggml_tensor* input, ggml_tensor* residual = nullptr) const;

    bool is_quantised() const { return is_quantised_; }

private:
    static void compute(ggml_tensor* y, int ith, int nth, void* self);
    bool is_swiglu() const { return epilogue_ == kernels::RowEpilogue::swiglu; }

    std::vector<Linear> parts_;
    kernels::RowEpilogue epilogue_;
    bool is_quantised_;
    int64_t d_in_, d_out_;
};

// The RMSNorm before a DirectLinear.
class DirectNorm {
public:
    DirectNorm(const Norm& norm, const DirectLinear& next)
        : norm_(norm), is_quantised_(next.is_quantised()) {}
    // F32 [d, n_tokens] -> what `next` takes
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

private:
    static void compute(ggml_tensor* y, int ith, int nth, void* self);

    Norm norm_;
    bool is_quantised_;
};

}  // namespace crispvl
