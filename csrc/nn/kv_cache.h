// Keys and values of one sequence, per layer, on the model's preferred backend.
#pragma once

#include <vector>

#include "runtime/tensor_table.h"

namespace crispvl {

class KvCache {
public:
    // Throws Error{memory}. Each layer holds K and V as [d_kv, n_ctx], d_kv = heads * d_head.
    // `without_data`: for graphs that are measured and never run.
    KvCache(ggml_backend_t backend, ggml_type type, int64_t n_layers, int64_t d_kv, int64_t n_ctx,
            bool without_data = false);

    ggml_tensor* k(size_t i_layer) const { return k_[i_layer]; }
    ggml_tensor* v(size_t i_layer) const { return v_[i_layer]; }
    int64_t n_ctx() const { return n_ctx_; }
    size_t n_bytes() const { return n_bytes_; }

private:
    int64_t n_ctx_;
    size_t n_bytes_;
    TensorTable ctx_;
    std::vector<ggml_tensor*> k_, v_;
    ggml_backend_buffer_ptr buffer_;
};

}  // namespace crispvl
