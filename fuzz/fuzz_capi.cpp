// Any bytes as a whole model, loaded and asked to read: what loads must also compute. Zeros follow
// the bytes, so that a header alone is a model whose weights are zero: small inputs are fuzzed
// faster. Graphs of huge models are not run.
#include <algorithm>
#include <vector>

#include "include/crispvl.h"

constexpr size_t kMaxBytes = 3 << 19;  // more than any tiny model of make_corpus.py

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* input, size_t n_input) {
    static std::vector<uint8_t> bytes(kMaxBytes);
    const size_t n = std::min(n_input, kMaxBytes);
    std::fill(std::copy(input, input + n, bytes.begin()), bytes.end(), uint8_t{0});
    crispvl_load_params load;
    crispvl_load_params_init(&load, sizeof load);
    load.data = bytes.data();
    load.n_data_bytes = bytes.size();
    load.device = "cpu";
    load.n_threads = 1;
    crispvl_model* model = nullptr;
    if (crispvl_model_load(&load, &model) != CRISPVL_OK) return 0;
    crispvl_model_info info;
    crispvl_model_get_info(model, &info, sizeof info);
    static const uint8_t pixels[32 * 32] = {};
    crispvl_image image{};
    image.data = pixels;
    image.n_bytes = sizeof pixels;
    image.format = CRISPVL_IMAGE_GREY8;
    image.width_px = image.height_px = 32;
    crispvl_recognize_params read;
    crispvl_recognize_params_init(&read, sizeof read);
    read.max_tiles = 2;
    read.max_tokens = 2;
    crispvl_result* result = nullptr;
    if (info.tile_px <= 256) crispvl_recognize(model, &image, &read, &result);
    crispvl_result_free(result);
    crispvl_model_free(model);
    return 0;
}
