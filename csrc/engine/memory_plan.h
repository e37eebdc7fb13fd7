// How much memory a model would take, found by building its real graphs without data.
#pragma once

#include <string>
#include <vector>

#include "model/model.h"

namespace crispvl {

struct MemoryRequest {
    int64_t n_tiles;   // encoded for one prompt, thumbnails included
    int64_t n_prompt;  // tokens of it, image tokens included
    int64_t n_ctx;     // tokens the KV cache holds
};

struct DeviceMemory {
    std::string name;  // ggml's, such as "CPU" or "CUDA0"
    size_t weight_bytes, packed_bytes, kv_bytes, compute_bytes;
    size_t released_bytes;  // of weight_bytes, no longer resident once they are packed
};

// Per backend of `model`, which was loaded with measure_only; the CPU is last. Throws
// Error{argument, context_overflow}.
std::vector<DeviceMemory> plan_memory(const std::shared_ptr<const Model>& model,
                                      const MemoryRequest& request);

}  // namespace crispvl
