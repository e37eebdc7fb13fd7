// The C skin: versions, errors, models and tokens. See include/crispvl.h.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <numeric>

#include "base/utf8.h"
#include "capi/guard.h"
#include "capi/handles.h"
#include "gguf/schema.h"

namespace crispvl::capi {
namespace {

// A thread's newest error; a plain array, so that keeping it can neither fail nor outlive its
// thread.
thread_local char newest_error[4096] = "";

crispvl_status status_of(ErrorKind kind) noexcept {
    switch (kind) {
        case ErrorKind::argument:
            return CRISPVL_ERROR_ARGUMENT;
        case ErrorKind::not_found:
            return CRISPVL_ERROR_NOT_FOUND;
        case ErrorKind::model_file:
            return CRISPVL_ERROR_MODEL_FILE;
        case ErrorKind::image:
            return CRISPVL_ERROR_IMAGE;
        case ErrorKind::context_overflow:
            return CRISPVL_ERROR_CONTEXT_OVERFLOW;
        case ErrorKind::device:
            return CRISPVL_ERROR_DEVICE;
        case ErrorKind::memory:
            return CRISPVL_ERROR_MEMORY;
        case ErrorKind::cancelled:
            return CRISPVL_ERROR_CANCELLED;
        case ErrorKind::internal:
            return CRISPVL_ERROR_INTERNAL;
    }
    return CRISPVL_ERROR_INTERNAL;
}

crispvl_load_params default_load_params(size_t struct_size) {
    crispvl_load_params params{};
    params.struct_size = struct_size;
    params.device = "auto";
    return params;
}

LoadOptions load_options(const crispvl_load_params& params) {
    LoadOptions options;
    options.path = params.path == nullptr ? "" : params.path;
    options.mmproj = params.mmproj == nullptr ? "" : params.mmproj;
    options.bytes = {params.data, params.n_data_bytes};
    options.mmproj_bytes = {params.mmproj_data, params.n_mmproj_data_bytes};
    options.device = params.device == nullptr ? "auto" : params.device;
    options.n_threads = params.n_threads;
    options.vocab_only = params.vocab_only != 0;
    options.exact = params.exact != 0;
    options.access.mmap = params.no_mmap == 0;
    return options;
}

std::shared_ptr<const Model> load_core(const crispvl_load_params& params) {
    const bool has_path = params.path != nullptr && params.path[0] != '\0';
    require(has_path != (params.data != nullptr),
            "[load] expected either a path or data; found both or neither; set one of them");
    require(has_path ? params.mmproj_data == nullptr : params.mmproj == nullptr,
            "[load] expected mmproj with path and mmproj_data with data; found them mixed; load "
            "both from paths or both from memory");
    return std::make_shared<const Model>(load_options(params));
}

PromptConfig prompt_config(const ModelConfig& config) {
    return {config.chat.template_name, config.chat.system_message, config.image.start_id,
            config.image.end_id,       config.image.context_id,    config.chat.stop_ids};
}

crispvl_model_info info_of(const crispvl_model& model) {
    crispvl_model_info info{};
    info.name = model.name.c_str();
    info.device = model.device.c_str();
    info.vocab_size = model.core->tokenizer().size();
    if (!model.core->has_weights()) return info;
    const ModelConfig& c = model.core->config();
    info.n_threads = model.core->backends().n_threads;
    info.n_logits = static_cast<int32_t>(c.decoder.vocab_size);
    info.context_length = static_cast<int32_t>(c.decoder.context_length);
    info.tile_px = static_cast<int32_t>(c.vision.tile_px);
    info.tokens_per_tile = static_cast<int32_t>(c.image.tokens_per_tile);
    info.width = static_cast<int32_t>(c.decoder.width);
    info.min_tiles = static_cast<int32_t>(c.image.min_tiles);
    info.max_tiles = static_cast<int32_t>(c.image.max_tiles);
    info.image_start_id = c.image.start_id;
    info.image_end_id = c.image.end_id;
    info.image_context_id = c.image.context_id;
    const std::vector<size_t>& n_bytes = model.core->weight_bytes();
    info.weight_bytes = std::accumulate(n_bytes.begin(), n_bytes.end(), size_t{0});
    return info;
}

}  // namespace

crispvl_status fail(crispvl_status status, const char* text) noexcept {
    size_t n_bytes = std::min(std::strlen(text), sizeof newest_error - 1);
    // Not within a character.
    while (n_bytes > 0 && (static_cast<unsigned char>(text[n_bytes]) & 0xC0) == 0x80) --n_bytes;
    std::memcpy(newest_error, text, n_bytes);
    newest_error[n_bytes] = '\0';
    return status;
}

crispvl_status fail(const Error& error) noexcept {
    return fail(status_of(error.kind()), error.what());
}

const crispvl_model& with_weights(const crispvl_model* model) {
    const crispvl_model& checked = deref(model, "a model");
    require(checked.prompts.has_value(),
            "[model] expected a model with weights; found one loaded with vocab_only; load it "
            "again without");
    return checked;
}

}  // namespace crispvl::capi

using namespace crispvl;
using namespace crispvl::capi;

uint32_t crispvl_abi_version(void) {
    return CRISPVL_ABI_VERSION;
}

const char* crispvl_version(void) {
    return CRISPVL_VERSION;
}

const char* crispvl_status_name(crispvl_status status) {
    switch (int64_t{number_of(status)}) {
        case CRISPVL_OK:
            return "ok";
        case CRISPVL_ERROR_ARGUMENT:
            return "argument";
        case CRISPVL_ERROR_NOT_FOUND:
            return "not_found";
        case CRISPVL_ERROR_MODEL_FILE:
            return "model_file";
        case CRISPVL_ERROR_IMAGE:
            return "image";
        case CRISPVL_ERROR_CONTEXT_OVERFLOW:
            return "context_overflow";
        case CRISPVL_ERROR_DEVICE:
            return "device";
        case CRISPVL_ERROR_MEMORY:
            return "memory";
        case CRISPVL_ERROR_CANCELLED:
            return "cancelled";
        case CRISPVL_ERROR_INTERNAL:
            return "internal";
        case CRISPVL_ERROR_BUFFER:
            return "buffer";
    }
    return "unknown";
}

const char* crispvl_last_error(void) {
    return newest_error;
}

crispvl_status crispvl_cancel_new(crispvl_cancel** out) {
    return guarded([&] {
        crispvl_cancel*& made = deref(out, "a place for the cancel flag");
        made = nullptr;
        made = new crispvl_cancel;
    });
}

void crispvl_cancel_free(crispvl_cancel* cancel) {
    delete cancel;
}

void crispvl_cancel_request(crispvl_cancel* cancel) {
    if (cancel != nullptr) cancel->is_requested.store(true);
}

void crispvl_cancel_reset(crispvl_cancel* cancel) {
    if (cancel != nullptr) cancel->is_requested.store(false);
}

void crispvl_load_params_init(crispvl_load_params* params, size_t struct_size) {
    if (params == nullptr || struct_size < sizeof(size_t)) return;
    write_struct(default_load_params(struct_size), params, struct_size);
}

crispvl_status crispvl_model_load(const crispvl_load_params* params, crispvl_model** out) {
    return guarded([&] {
        crispvl_model*& made = deref(out, "a place for the model");
        made = nullptr;
        crispvl_load_params known = default_load_params(sizeof known);
        read_struct(&deref(params, "params"), known, "crispvl_load_params_init");
        auto model = std::make_unique<crispvl_model>();
        model->core = load_core(known);
        const std::optional<GgufValue> name = model->core->source().find(schema::kName);
        if (name && std::holds_alternative<std::string>(*name)) {
            model->name = repair_utf8(std::get<std::string>(*name));
        }
        if (model->core->has_weights()) {
            model->device = model->core->backends().name();
            model->prompts.emplace(model->core->tokenizer(), prompt_config(model->core->config()));
        }
        made = model.release();
    });
}

void crispvl_model_free(crispvl_model* model) {
    delete model;
}

crispvl_status crispvl_model_get_info(const crispvl_model* model, crispvl_model_info* info,
                                      size_t struct_size) {
    return guarded([&] {
        write_struct(info_of(deref(model, "a model")), &deref(info, "a place for the info"),
                     struct_size);
    });
}

crispvl_status crispvl_tokenize(const crispvl_model* model, const char* text, int32_t parse_special,
                                int32_t* ids, size_t capacity, size_t* n_ids) {
    return guarded([&] {
        deref(n_ids, "a place for the count") = 0;
        const std::vector<int32_t> found = deref(model, "a model")
                                               .core->tokenizer()
                                               .encode(&deref(text, "a text"), parse_special != 0);
        write_array(found.data(), found.size(), ids, capacity, n_ids);
    });
}

crispvl_status crispvl_detokenize(const crispvl_model* model, const int32_t* ids, size_t n_ids,
                                  char* text, size_t capacity, size_t* n_bytes) {
    return guarded([&] {
        deref(n_bytes, "a place for the count") = 0;
        require(ids != nullptr || n_ids == 0, "[capi] expected ids; found NULL; pass 0 for none");
        const std::string found = repair_utf8(
            deref(model, "a model").core->tokenizer().decode(ids, n_ids, /*skip_special=*/false));
        size_t n_with_end = 0;
        *n_bytes = found.size();
        write_array(found.c_str(), found.size() + 1, text, capacity, &n_with_end);
    });
}
