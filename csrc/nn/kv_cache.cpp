#include "nn/kv_cache.h"

#include <string>

#include "runtime/error.h"
#include "runtime/log.h"

namespace crispvl {

KvCache::KvCache(ggml_backend_t backend, ggml_type type, int64_t n_layers, int64_t d_kv,
                 int64_t n_ctx, bool without_data)
    : n_ctx_(n_ctx), ctx_(2 * static_cast<size_t>(n_layers) * ggml_tensor_overhead()) {
    for (int64_t i = 0; i < n_layers; ++i) {
        k_.push_back(ggml_new_tensor_2d(ctx_.get(), type, d_kv, n_ctx));
        v_.push_back(ggml_new_tensor_2d(ctx_.get(), type, d_kv, n_ctx));
    }
    ggml_backend_buffer_type_t buffer_type = ggml_backend_get_default_buffer_type(backend);
    n_bytes_ = ggml_backend_alloc_ctx_tensors_from_buft_size(ctx_.get(), buffer_type);
    if (without_data) {
        buffer_.reset(ggml_backend_buft_alloc_buffer(buffer_type, 0));
        for (ggml_tensor* tensor : k_) tensor->buffer = buffer_.get();
        for (ggml_tensor* tensor : v_) tensor->buffer = buffer_.get();
        return;
    }
    buffer_.reset(ggml_backend_alloc_ctx_tensors(ctx_.get(), backend));
    if (!buffer_) {
        throw Error(ErrorKind::memory, "[session] expected memory for a KV cache of " +
                                           std::to_string(n_ctx) + " tokens on " +
                                           ggml_backend_name(backend) + "; " + take_log_error() +
                                           "; lower max_tokens or max_tiles");
    }
    // Rows past the written ones are masked, but 0 * NaN would still be NaN.
    ggml_backend_buffer_clear(buffer_.get(), 0);
}

}  // namespace crispvl
