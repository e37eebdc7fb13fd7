#include "runtime/graph.h"

namespace crispvl {

Graph::Graph(size_t max_nodes, bool taps_enabled)
    // Twice the nodes: leaves and views are tensors too.
    : ctx_(2 * max_nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(max_nodes, false)),
      cgraph_(ggml_new_graph_custom(ctx_.get(), max_nodes, /*grads=*/false)),
      taps_enabled_(taps_enabled) {}

ggml_tensor* Graph::input(ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2) {
    ggml_tensor* x = ggml_new_tensor_3d(ctx_.get(), type, ne0, ne1, ne2);
    ggml_set_input(x);
    return x;
}

void Graph::output(ggml_tensor* x) {
    ggml_set_output(x);
    expand(x);
}

ggml_tensor* Graph::custom(const char* label, ggml_type type, int64_t ne0,
                           std::initializer_list<ggml_tensor*> sources, ggml_custom_op_t compute,
                           const void* self) {
    std::vector<ggml_tensor*> given(sources);
    while (given.back() == nullptr) given.pop_back();  // what is optional comes last
    const ggml_tensor* first = given.front();
    ggml_tensor* x = ggml_custom_4d(ctx_.get(), type, ne0, first->ne[1], first->ne[2], first->ne[3],
                                    given.data(), static_cast<int>(given.size()), compute,
                                    GGML_N_TASKS_MAX, const_cast<void*>(self));
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
