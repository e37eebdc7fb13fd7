// A graph under construction: the ggml context that holds its tensors, its inputs, and the taps
// that name intermediate results for `trace`.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/tensor_table.h"

namespace crispvl {

class Graph {
public:
    explicit Graph(size_t max_nodes, bool taps_enabled = false);

    ggml_context* ctx() const { return ctx_.get(); }
    ggml_cgraph* cgraph() const { return cgraph_; }

    // A tensor whose data the caller sets before the graph runs.
    ggml_tensor* input(ggml_type type, int64_t ne0, int64_t ne1 = 1, int64_t ne2 = 1);
    // Keeps `x` readable after the graph ran.
    void output(ggml_tensor* x);
    // Names `x`; when taps are enabled its value is kept for reading. Returns `x`.
    ggml_tensor* tap(ggml_tensor* x, const std::string& name);
    // Runs `x` for its side effect (a write into the KV cache).
    void expand(ggml_tensor* x) { ggml_build_forward_expand(cgraph_, x); }

    const std::vector<std::pair<std::string, ggml_tensor*>>& taps() const { return taps_; }

private:
    TensorTable ctx_;
    ggml_cgraph* cgraph_;
    bool taps_enabled_;
    std::vector<std::pair<std::string, ggml_tensor*>> taps_;
};

}  // namespace crispvl
