// How a model is loaded.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gguf/source.h"

namespace crispvl {

// Some of the decoder's layers on one device.
struct LayerShare {
    std::string device;
    int64_t n_layers;
};

struct LoadOptions {
    std::string path;
    std::string mmproj;              // "" when `path` holds the projector too
    std::string device = "auto";     // see Backends
    int n_threads = 0;               // 0: usable_cores()
    bool vocab_only = false;         // tokenizer and keys, no weights
    bool exact = false;              // F32 throughout: products, and the cache as kv_type() says
    std::string kv_cache = "auto";   // "f32", "f16", "q8_0", or what kv_type() says
    bool measure_only = false;       // read only headers; graphs are measured, not run
    std::string tokenizer;           // GGUF file whose vocabulary is used; "" for the model's own
    double image_position_step = 0;  // see set_position_step(); 0: the file's, or else 1
    // Devices in the order of the layers, instead of `device`. Encoder and projector are on the
    // first, the head with the last layer, and the token table always in host memory.
    std::vector<LayerShare> layers;
    FileBytes bytes, mmproj_bytes;  // instead of the paths; copied while loading
    FileAccess access;              // of files whose weights are used
};

}  // namespace crispvl
