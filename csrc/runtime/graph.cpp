#include "runtime/graph.h"

#include "runtime/error.h"

namespace crispvl {

Graph::Graph(size_t max_nodes, bool taps_enabled) : taps_enabled_(taps_enabled) {
    // Twice the nodes: leaves and views are tensors too.
    const size_t n_bytes =
        2 * max_nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(max_nodes, false);
    ctx_.reset(ggml_init({n_bytes, nullptr, /*no_alloc=*/true}));
    if (!ctx_) throw Error(ErrorKind::memory, "[graph] expected memory for a compute graph");
    cgraph_ = ggml_new_graph_custom(ctx_.get(), max_nodes, /*grads=*/false);
}

ggml_tensor* Graph::input(ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2) {
    ggml_tensor* x = ggml_new_tensor_3d(ctx_.get(), type, ne0, ne1, ne2);
    ggml_set_input(x);
    return x;
}

void Graph::output(ggml_tensor* x) {
    ggml_set_output(x);
    expand(x);
}

ggml_tensor* Graph::tap(ggml_tensor* x, const std::string& name) {
    ggml_set_name(x, name.c_str());
    if (taps_enabled_) {
        output(x);
        taps_.emplace_back(name, x);
    }
    return x;
}

}  // namespace crispvl
