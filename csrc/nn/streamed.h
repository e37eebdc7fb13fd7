// Linears of the decoder on our BF16 kernels for many tokens at once. A panel of weights is
// dequantised and packed where it is needed and then meets every token: weights keep their own type
// in memory, and the work of unpacking is shared by hundreds of tokens.
#pragma once

#include <vector>

#include "kernels/bf16_kernels.h"
#include "nn/linear.h"

namespace crispvl {

class StreamedLinear {
public:
    // `parts` read the same input; their outputs stand one after another, except with swiglu_bf16,
    // which takes a gate and an up part.
    StreamedLinear(const std::vector<const Linear*>& parts, kernels::Epilogue epilogue);

    // Working memory for `n_threads` threads, enough for any input up to `d_in` wide.
    static ggml_tensor* scratch(Graph& g, int64_t d_in, int n_threads);

    // BF16 [d_in, n_tokens] -> [d_out, n_tokens] of the epilogue's type
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, ggml_tensor* scratch,
                            ggml_tensor* residual = nullptr) const;

private:
    struct Row {
        const ggml_tensor* weight;  // null: a row of zeros
        int64_t i_row;
    };
    static void compute(ggml_tensor* y, int ith, int nth, void* self);
    Row row_of(int64_t i_panel, int64_t i) const;
    void load_panel(int64_t i_panel, char* scratch, uint16_t* panel) const;
    bool is_swiglu() const { return epilogue_ == kernels::Epilogue::swiglu_bf16; }

    std::vector<const ggml_tensor*> weights_;
    int64_t d_in_, n_rows_;
    kernels::Epilogue epilogue_;
    std::vector<float> bias_;  // in the order of the panels' outputs; empty: none
};

// F32 -> BF16, any shape whose rows are contiguous.
ggml_tensor* rounded(Graph& g, ggml_tensor* x);

}  // namespace crispvl
