// A graph under construction: the ggml context that holds its tensors, its inputs, and the taps
// that name intermediate results for `trace`.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/tensor_table.h"

namespace crispvl {

class Graph {
public:
    // `is_exact`: its products multiply weights of every type as F32.
    explicit Graph(size_t max_nodes, bool taps_enabled = false, bool is_exact = false);

    ggml_context* ctx() const { return ctx_.get(); }
    ggml_cgraph* cgraph() const { return cgraph_; }
    bool is_exact() const { return is_exact_; }

    // A tensor whose data the caller sets before the graph runs.
    ggml_tensor* input(ggml_type type, int64_t ne0, int64_t ne1 = 1, int64_t ne2 = 1);
    // F32 numbers that are known when the graph is built.
    ggml_tensor* constant(std::vector<float> values);
    // Hands each constant that the allocated graph reads its numbers.
    void set_constants() const;
    // Keeps `x` readable after the graph ran.
    void output(ggml_tensor* x);
    // When taps are enabled, names `x` and keeps its value for reading. Returns `x`.
    ggml_tensor* tap(ggml_tensor* x, const std::string& name);
    // An operation of ours on a CPU, computed by all threads: ne0 by the other extents of its first
    // source. `label` names it in profiles; `self` is handed to `compute` and outlives the graph.
    ggml_tensor* custom(const char* label, ggml_type type, int64_t ne0,
                        std::initializer_list<ggml_tensor*> sources, ggml_custom_op_t compute,
                        const void* self);
    // Keeps a value for as long as the graph, for an operation to look at.
    template <typename T>
    const T* keep(T value) {
        const auto kept = std::make_shared<const T>(std::move(value));
        kept_.push_back(kept);
        return kept.get();
    }
    // Runs `x` for its side effect (a write into the KV cache).
    void expand(ggml_tensor* x) { ggml_build_forward_expand(cgraph_, x); }

    const std::vector<std::pair<std::string, ggml_tensor*>>& taps() const { return taps_; }

private:
    TensorTable ctx_;
    ggml_cgraph* cgraph_;
    bool taps_enabled_, is_exact_;
    std::vector<std::pair<std::string, ggml_tensor*>> taps_;
    std::vector<std::pair<ggml_tensor*, std::vector<float>>> constants_;
    std::vector<std::shared_ptr<const void>> kept_;
};

}  // namespace crispvl
