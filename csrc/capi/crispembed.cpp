// CrispEmbed's names over crispvl.h. See include/crispembed.h.
#include <algorithm>
#include <cmath>
#include <iterator>
#include <memory>
#include <numeric>
#include <vector>

#include "capi/guard.h"
#include "include/crispembed.h"

using namespace crispvl;
using namespace crispvl::capi;

namespace {

struct Context {
    ~Context() {
        crispvl_result_free(result);
        crispvl_model_free(model);
    }
    crispvl_model* model = nullptr;
    crispvl_result* result = nullptr;  // the newest
    std::vector<float> confidences;
};

crispvl_image_format format_of(int n_channels) {
    switch (n_channels) {
        case 1:
            return CRISPVL_IMAGE_GREY8;
        case 3:
            return CRISPVL_IMAGE_RGB8;
        case 4:
            return CRISPVL_IMAGE_RGBA8;
        default:
            break;
    }
    throw Error(ErrorKind::argument, "[image] expected 1, 3 or 4 channels; found " +
                                         std::to_string(n_channels) + "; convert the pixels");
}

// Throws Error{argument} where the sizes are none.
size_t count_values(int width, int height, int n_channels) {
    require(width > 0 && height > 0,
            "[image] expected a width and a height of at least 1 px; found less; give the image's "
            "real size");
    return static_cast<size_t>(width) * static_cast<size_t>(height) *
           static_cast<size_t>(n_channels);
}

const char* recognize(Context& context, const uint8_t* pixels, int width, int height,
                      int n_channels, int* out_len) {
    crispvl_image image{};
    image.data = pixels;
    image.n_bytes = count_values(width, height, n_channels);
    image.format = format_of(n_channels);
    image.width_px = width;
    image.height_px = height;
    crispvl_result_free(context.result);
    context.result = nullptr;
    context.confidences.clear();
    crispvl_recognize_params params;
    crispvl_recognize_params_init(&params, sizeof params);
    params.layout = CRISPVL_LAYOUT_PAGE;  // a formula is one picture
    if (crispvl_recognize(context.model, &image, &params, &context.result) != CRISPVL_OK) {
        return nullptr;
    }
    crispvl_result_info info{};
    crispvl_result_get_info(context.result, &info, sizeof info);
    const float* logprobs = crispvl_result_logprobs(context.result);
    std::transform(logprobs, logprobs + info.n_tokens, std::back_inserter(context.confidences),
                   [](float logprob) { return std::exp(logprob); });
    const char* text = crispvl_result_text(context.result);
    if (out_len != nullptr) *out_len = static_cast<int>(std::strlen(text));
    return text;
}

}  // namespace

void* crispembed_math_ocr_init(const char* model_path, int n_threads) {
    Context* made = nullptr;
    guarded([&] {
        auto context = std::make_unique<Context>();
        crispvl_load_params params;
        crispvl_load_params_init(&params, sizeof params);
        params.path = model_path;
        params.n_threads = n_threads;
        if (crispvl_model_load(&params, &context->model) == CRISPVL_OK) made = context.release();
    });
    return made;
}

void crispembed_math_ocr_free(void* ctx) {
    delete static_cast<Context*>(ctx);
}

const char* crispembed_math_ocr_recognize(void* ctx, const uint8_t* pixel_bytes, int width,
                                          int height, int channels, int* out_len) {
    if (out_len != nullptr) *out_len = 0;
    const char* text = nullptr;
    guarded([&] {
        text = recognize(deref(static_cast<Context*>(ctx), "a context"), pixel_bytes, width, height,
                         channels, out_len);
    });
    return text;
}

const char* crispembed_math_ocr_recognize_gray(void* ctx, const float* pixels, int width,
                                               int height, int* out_len) {
    if (out_len != nullptr) *out_len = 0;
    const char* text = nullptr;
    guarded([&] {
        Context& context = deref(static_cast<Context*>(ctx), "a context");
        deref(pixels, "pixels");
        std::vector<uint8_t> bytes(count_values(width, height, 1));
        std::transform(pixels, pixels + bytes.size(), bytes.begin(), [](float value) {
            const float shown = value > 0 ? std::min(value, 1.0f) : 0.0f;  // NaN: 0
            return static_cast<uint8_t>(std::lround(255 * shown));
        });
        text = recognize(context, bytes.data(), width, height, 1, out_len);
    });
    return text;
}

const float* crispembed_math_ocr_confidences(const void* ctx, int* n_tokens) {
    const Context* context = static_cast<const Context*>(ctx);
    const bool has_any = context != nullptr && !context->confidences.empty();
    if (n_tokens != nullptr)
        *n_tokens = has_any ? static_cast<int>(context->confidences.size()) : 0;
    return has_any ? context->confidences.data() : nullptr;
}

float crispembed_math_ocr_mean_confidence(const void* ctx) {
    const Context* context = static_cast<const Context*>(ctx);
    if (context == nullptr || context->confidences.empty()) return 0.0f;
    const std::vector<float>& values = context->confidences;
    return std::accumulate(values.begin(), values.end(), 0.0f) / static_cast<float>(values.size());
}
