// A ggml context that describes tensors and holds no data. Its memory is ours, because ggml ends
// the process where it finds none.
#pragma once

#include <cstddef>
#include <memory>

#include "ggml-cpp.h"

namespace crispvl {

class TensorTable {
public:
    TensorTable() = default;
    // Throws std::bad_alloc.
    explicit TensorTable(size_t n_bytes)
        : memory_(new std::byte[n_bytes]), ctx_(ggml_init({n_bytes, memory_.get(), true})) {}

    ggml_context* get() const { return ctx_.get(); }

private:
    std::unique_ptr<std::byte[]> memory_;
    ggml_context_ptr ctx_;
};

}  // namespace crispvl
