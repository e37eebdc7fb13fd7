// Keys and values of one sequence, per layer, each on the backend of its layer.
#pragma once

#include <vector>

#include "runtime/tensor_table.h"

namespace crispvl {

class KvCache {
public:
    // Throws Error{memory}. Each layer holds K and V as [d_kv, n_ctx], d_kv = heads * d_head.
    // `without_data`: for graphs that are measured and never run.
    KvCache(const std::vector<ggml_backend_t>& layers, ggml_type type, int64_t d_kv, int64_t n_ctx,
            bool without_data = false);

    ggml_tensor* k(size_t i_layer) const { return k_[i_layer]; }
    ggml_tensor* v(size_t i_layer) const { return v_[i_layer]; }
    int64_t n_ctx() const { return n_ctx_; }
    size_t n_bytes_on(ggml_backend_t backend) const;

private:
    // The layers of one backend.
    struct Part {
        ggml_backend_t backend;
        TensorTable ctx;
        ggml_backend_buffer_ptr buffer;
        size_t n_bytes;
    };
    ggml_context* context_of(ggml_backend_t backend, size_t n_tensors);
    void allocate(Part& part, bool without_data) const;

    int64_t n_ctx_;
    std::vector<Part> parts_;
    std::vector<ggml_tensor*> k_, v_;
};

}  // namespace crispvl
