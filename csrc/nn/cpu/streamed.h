// Linears of the decoder on our CPU kernels for many tokens at once. A panel of weights is unpacked
// where it is needed and then meets every token: weights keep their own type in memory, and the
// work of unpacking is shared by hundreds of tokens.
#pragma once

#include <optional>
#include <vector>

#include "kernels/epilogue.h"
#include "nn/cpu/bf16_panel.h"
#include "nn/cpu/operand.h"
#include "nn/cpu/packed.h"
#include "nn/cpu/ready_panels.h"
#include "nn/linear.h"

namespace crispvl {

class StreamedLinear {
public:
    // `parts` read the same input; their outputs come one after another, except with swiglu, which
    // takes a gate and an up part. `panels` outlive it.
    StreamedLinear(const std::vector<const Linear*>& parts, Operand operand,
                   kernels::Epilogue epilogue, const ReadyPanels& panels);

    // What a decoder block is made of; none where this CPU's kernels do not read the weights. Of
    // the operands that they multiply the fastest is chosen.
    static std::optional<StreamedLinear> joined(const std::vector<const Linear*>& parts,
                                                const ReadyPanels& panels);
    static std::optional<StreamedLinear> added(const Linear& part, const ReadyPanels& panels);
    static std::optional<Gated<StreamedLinear>> gated(const Linear& gate, const Linear& up,
                                                      const Linear& down,
                                                      const ReadyPanels& panels);

    // Working memory for `n_threads` threads, enough for any input up to `d_in` wide.
    static ggml_tensor* scratch(Graph& g, int64_t d_in, int n_threads);

    // The norm before it, whose result is its input.
    using Norm = PackedNorm;
    Norm norm_before(const crispvl::Norm& norm) const { return {norm, operand_}; }
    // What operator() takes for x: BF16 or F32 [d_in, n_tokens], or an operand already.
    ggml_tensor* input(Graph& g, ggml_tensor* x) const;

    // -> [d_out, n_tokens] of the epilogue's type; `residual` of that shape where it has one
    ggml_tensor* operator()(Graph& g, ggml_tensor* input, ggml_tensor* residual,
                            ggml_tensor* scratch) const;

    Operand operand() const { return operand_; }

private:
    static bool supports(const std::vector<const Linear*>& parts, Operand operand,
                         kernels::Epilogue epilogue);
    static void compute_bf16(ggml_tensor* y, int ith, int nth, void* self);
    static void compute_int8(ggml_tensor* y, int ith, int nth, void* self);
    WeightRow row_of(int64_t i_panel, int64_t i) const;
    kernels::Int8Columns columns(int64_t i_columns) const;
    bool is_swiglu() const { return epilogue_ == kernels::Epilogue::swiglu; }
    int64_t d_out() const { return is_swiglu() ? n_rows_ / 2 : n_rows_; }
    const float* bias() const { return bias_.empty() ? nullptr : bias_.data(); }

    std::vector<const ggml_tensor*> weights_;
    std::vector<MatrixRows> rows_;  // bytes: of each weight
    int64_t d_in_, n_rows_;
    Operand operand_;
    kernels::Epilogue epilogue_;
    std::vector<float> bias_;  // empty: none; BF16: in the order of the panels' outputs
};

}  // namespace crispvl
