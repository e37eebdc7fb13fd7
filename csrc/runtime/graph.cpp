#include "runtime/graph.h"

#include <algorithm>

namespace crispvl {

Graph::Graph(size_t max_nodes, bool taps_enabled, bool is_exact)
    // Twice the nodes: leaves and views are tensors too.
    : ctx_(2 * max_nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(max_nodes, false)),
      cgraph_(ggml_new_graph_custom(ctx_.get(), max_nodes, /*grads=*/false)),
      taps_enabled_(taps_enabled),
      is_exact_(is_exact) {}

ggml_tensor* Graph::input(ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2) {
    ggml_tensor* x = ggml_new_tensor_3d(ctx_.get(), type, ne0, ne1, ne2);
    ggml_set_input(x);
    return x;
}

ggml_tensor* Graph::constant(std::vector<float> values) {
    ggml_tensor* x = input(GGML_TYPE_F32, static_cast<int64_t>(values.size()));
    constants_.emplace_back(x, std::move(values));
    return x;
}

void Graph::set_constants() const {
    for (const auto& [x, values] : constants_) {
        if (x->buffer != nullptr) ggml_backend_tensor_set(x, values.data(), 0, ggml_nbytes(x));
    }
}

void Graph::output(ggml_tensor* x) {
    ggml_set_output(x);
    expand(x);
}

ggml_tensor* Graph::custom(const char* label, ggml_type type, int64_t ne0,
                           std::initializer_list<ggml_tensor*> sources, ggml_custom_op_t compute,
                           const void* self) {
    ggml_tensor* given[GGML_MAX_SRC];
    int n = static_cast<int>(std::copy(sources.begin(), sources.end(), given) - given);
    while (given[n - 1] == nullptr) --n;  // what is optional comes last
    ggml_tensor* x =
        ggml_custom_4d(ctx_.get(), type, ne0, given[0]->ne[1], given[0]->ne[2], given[0]->ne[3],
                       given, n, compute, GGML_N_TASKS_MAX, const_cast<void*>(self));
    ggml_set_name(x, label);
    return x;
}

ggml_tensor* Graph::tap(ggml_tensor* x, const std::string& name) {
    if (taps_enabled_) {
        ggml_set_name(x, name.c_str());
        output(x);
        taps_.emplace_back(name, x);
    }
    return x;
}

}  // namespace crispvl
