// What the programs share: a model on two threads of the CPU, and a grey page that it reads.
#pragma once

#include <string>

#include "include/crispvl.h"

inline crispvl_status load_model(const char* path, crispvl_model** model) {
    crispvl_load_params params;
    crispvl_load_params_init(&params, sizeof params);
    params.path = path;
    params.device = "cpu";
    params.n_threads = 2;
    return crispvl_model_load(&params, model);
}

// Reads `n_tokens` tokens; `text` is what was read, also where `cancel` ended it.
inline crispvl_status read_page(const crispvl_model* model, int n_tokens,
                                const crispvl_cancel* cancel, std::string* text) {
    static const uint8_t pixels[64 * 48] = {};
    crispvl_image image{};
    image.data = pixels;
    image.n_bytes = sizeof pixels;
    image.format = CRISPVL_IMAGE_GREY8;
    image.width_px = 64;
    image.height_px = 48;
    crispvl_recognize_params params;
    crispvl_recognize_params_init(&params, sizeof params);
    params.max_tiles = 2;
    params.max_tokens = n_tokens;
    params.ignore_stop_tokens = 1;
    params.cancel = cancel;
    crispvl_result* result = nullptr;
    const crispvl_status status = crispvl_recognize(model, &image, &params, &result);
    *text = result == nullptr ? "" : crispvl_result_text(result);
    crispvl_result_free(result);
    return status;
}
