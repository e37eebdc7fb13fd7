// Any bytes as a whole model, loaded and asked to read: what loads must also compute. Graphs of
// huge models are not run.
#include "include/crispvl.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
    crispvl_load_params load;
    crispvl_load_params_init(&load, sizeof load);
    load.data = data;
    load.n_data_bytes = n_bytes;
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
