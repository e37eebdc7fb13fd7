#include "nn/kv_cache.h"

#include <string>

#include "base/error.h"
#include "base/log.h"

namespace crispvl {

KvCache::KvCache(const std::vector<ggml_backend_t>& layers, ggml_type type, int64_t d_kv,
                 int64_t n_ctx, bool without_data)
    : n_ctx_(n_ctx) {
    for (ggml_backend_t backend : layers) {
        ggml_context* ctx = context_of(backend, 2 * layers.size());
        k_.push_back(ggml_new_tensor_2d(ctx, type, d_kv, n_ctx));
        v_.push_back(ggml_new_tensor_2d(ctx, type, d_kv, n_ctx));
    }
    for (Part& part : parts_) allocate(part, without_data);
}

ggml_context* KvCache::context_of(ggml_backend_t backend, size_t n_tensors) {
    for (const Part& part : parts_) {
        if (part.backend == backend) return part.ctx.get();
    }
    parts_.push_back({backend, TensorTable(n_tensors * ggml_tensor_overhead()), nullptr, 0});
    return parts_.back().ctx.get();
}

void KvCache::allocate(Part& part, bool without_data) const {
    ggml_context* ctx = part.ctx.get();
    ggml_backend_buffer_type_t type = ggml_backend_get_default_buffer_type(part.backend);
    part.n_bytes = ggml_backend_alloc_ctx_tensors_from_buft_size(ctx, type);
    if (without_data) {
        part.buffer.reset(ggml_backend_buft_alloc_buffer(type, 0));
        for (ggml_tensor* tensor = ggml_get_first_tensor(ctx); tensor != nullptr;
             tensor = ggml_get_next_tensor(ctx, tensor)) {
            tensor->buffer = part.buffer.get();
        }
        return;
    }
    part.buffer.reset(ggml_backend_alloc_ctx_tensors(ctx, part.backend));
    if (!part.buffer) {
        throw Error(ErrorKind::memory, "[session] expected memory for a KV cache of " +
                                           std::to_string(n_ctx_) + " tokens on " +
                                           ggml_backend_name(part.backend) + "; found " +
                                           take_log_error() + "; lower max_tokens or max_tiles");
    }
    // Rows past the written ones are masked, but 0 * NaN would still be NaN.
    ggml_backend_buffer_clear(part.buffer.get(), 0);
}

size_t KvCache::n_bytes_on(ggml_backend_t backend) const {
    for (const Part& part : parts_) {
        if (part.backend == backend) return part.n_bytes;
    }
    return 0;
}

}  // namespace crispvl
