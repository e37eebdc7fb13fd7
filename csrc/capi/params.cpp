#include "capi/params.h"

#include "capi/guard.h"
#include "engine/line_reader.h"

namespace crispvl::capi {
namespace {

constexpr int64_t kMaxTokens = 2048;  // where the caller names no number

crispvl_recognize_params default_recognize_params(size_t struct_size) {
    crispvl_recognize_params params{};
    params.struct_size = struct_size;
    params.top_p = 1;
    params.repetition_penalty = 1;
    return params;
}

}  // namespace

crispvl_recognize_params read_params(const crispvl_recognize_params* params) {
    crispvl_recognize_params known = default_recognize_params(sizeof known);
    read_struct(params, known, "crispvl_recognize_params_init");
    require(known.max_tokens >= 0,
            "[params] expected max_tokens of at least 0; found less; 0 sets no limit of your own");
    Sampler{sampling_options(known)};  // refuses bad values before any work
    return known;
}

SamplingOptions sampling_options(const crispvl_recognize_params& params) {
    SamplingOptions options;
    options.temperature = params.temperature;
    options.top_k = params.top_k;
    options.top_p = params.top_p;
    options.min_p = params.min_p;
    options.seed = params.seed;
    options.repetition_penalty = params.repetition_penalty;
    options.repetition_window = params.repetition_window;
    return options;
}

int64_t token_limit(const crispvl_recognize_params& params) {
    return params.max_tokens == 0 ? kMaxTokens : params.max_tokens;
}

crispvl_layout layout_of(const crispvl_model& model, const crispvl_recognize_params& params) {
    const bool has_prompt = params.prompt != nullptr;
    switch (static_cast<int64_t>(number_of(params.layout))) {
        case CRISPVL_LAYOUT_DEFAULT:
            return !has_prompt && reads_by_lines(*model.core) ? CRISPVL_LAYOUT_LINES
                                                              : CRISPVL_LAYOUT_PAGE;
        case CRISPVL_LAYOUT_AUTO:
            if (has_prompt) return CRISPVL_LAYOUT_PAGE;
            return reads_by_lines(*model.core) ? CRISPVL_LAYOUT_LINES : CRISPVL_LAYOUT_AUTO;
        case CRISPVL_LAYOUT_PAGE:
            return CRISPVL_LAYOUT_PAGE;
        case CRISPVL_LAYOUT_BLOCKS:
            return CRISPVL_LAYOUT_BLOCKS;
        case CRISPVL_LAYOUT_LINES:
            require(!has_prompt,
                    "[layout] expected no prompt where a page is read by lines; found one; use "
                    "CRISPVL_LAYOUT_PAGE");
            return CRISPVL_LAYOUT_LINES;
        default:
            break;
    }
    throw Error(ErrorKind::argument,
                "[params] expected a crispvl_layout; found another value; set the layout to one "
                "of them");
}

std::string prompt_for(const ChatConfig& chat, int64_t task) {
    const bool markdown = task == CRISPVL_TASK_MARKDOWN;
    require(markdown || task == CRISPVL_TASK_TEXT,
            "[params] expected a crispvl_task; found another value; set the task to one of them");
    const std::string& own = markdown ? chat.prompt_markdown : chat.prompt_text;
    return own.empty() ? std::string(general_prompt(markdown)) : own;
}

TileProgress progress_of(const crispvl_recognize_params& params) {
    if (params.on_progress == nullptr) return {};
    return [&params](int64_t n_done, int64_t n_total) {
        params.on_progress(static_cast<int32_t>(n_done), static_cast<int32_t>(n_total),
                           params.user_data);
    };
}

ReadingCallbacks reading_callbacks(const crispvl_recognize_params& params) {
    ReadingCallbacks callbacks{progress_of(params), {}};
    if (params.on_token != nullptr) {
        callbacks.on_text = [&params](const std::string& text) {
            const crispvl_token told{-1, 0.0f, text.c_str()};
            return params.on_token(&told, params.user_data) == 0;
        };
    }
    return callbacks;
}

}  // namespace crispvl::capi

using namespace crispvl::capi;

void crispvl_recognize_params_init(crispvl_recognize_params* params, size_t struct_size) {
    if (params == nullptr || struct_size < sizeof(size_t)) return;
    write_struct(default_recognize_params(struct_size), params, struct_size);
}
