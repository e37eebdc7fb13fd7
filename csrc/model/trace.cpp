#include "model/trace.h"

#include "ggml-backend.h"

namespace crispvl {

void read_taps(const Graph& graph, Trace& trace) {
    for (const auto& [name, tensor] : graph.taps()) {
        TracedArray& array = trace[name];
        if (array.shape.empty()) array.shape = {0, tensor->ne[1], tensor->ne[0]};
        array.shape[0] += tensor->ne[2];
        const size_t n_before = array.values.size();
        array.values.resize(n_before + static_cast<size_t>(ggml_nelements(tensor)));
        ggml_backend_tensor_get(tensor, array.values.data() + n_before, 0, ggml_nbytes(tensor));
    }
}

}  // namespace crispvl
