// The C skin: images and conversations in, answers out. See include/crispvl.h.
#include <chrono>

#include "capi/guard.h"
#include "capi/handles.h"
#include "capi/image.h"
#include "capi/params.h"
#include "engine/block_reader.h"
#include "engine/generate.h"
#include "layout/blank.h"

namespace crispvl::capi {
namespace {

constexpr size_t kMostMessages = 1 << 16;  // of messages and of parts: more is a garbage count

// An image's tiles join the request's; `alone`: it is the only one.
void add_image(const crispvl_model& model, const crispvl_image* image,
               const crispvl_recognize_params& params, bool alone, GenerateRequest& request,
               std::vector<int64_t>& n_image_tokens, crispvl_result_info& info) {
    const ModelConfig& config = model.core->config();
    const RgbImage page = open_image(image);
    check_readable(page.width, page.height);
    const Tiles tiles =
        tile_image(page, tiling_config(config, params.min_tiles, params.max_tiles, alone));
    request.tiles.insert(request.tiles.end(), tiles.pixels.begin(), tiles.pixels.end());
    request.n_tiles += tiles.n_tiles;
    n_image_tokens.push_back(tiles.n_tiles * config.image.tokens_per_tile);
    info.damaged |= static_cast<int32_t>(page.is_damaged);
    info.width_px = static_cast<int32_t>(page.width);
    info.height_px = static_cast<int32_t>(page.height);
    info.n_columns = static_cast<int32_t>(tiles.grid.columns);
    info.n_rows = static_cast<int32_t>(tiles.grid.rows);
}

GenerateCallbacks callbacks_of(const crispvl_recognize_params& params) {
    GenerateCallbacks callbacks{progress_of(params), {}};
    if (params.on_token != nullptr) {
        callbacks.on_token = [&params](const GeneratedToken& token) {
            const crispvl_token told{token.id, token.logprob, token.text.c_str()};
            return params.on_token(&told, params.user_data) == 0;
        };
    }
    return callbacks;
}

crispvl_finish finish_of(Finish finish) {
    switch (finish) {
        case Finish::stop:
            return CRISPVL_FINISH_STOP;
        case Finish::length:
            return CRISPVL_FINISH_LENGTH;
        default:
            return CRISPVL_FINISH_CANCELLED;
    }
}

crispvl_result_info info_of(const crispvl_result& result) {
    const Generation& generation = result.generation;
    crispvl_result_info info = result.info;
    info.finish = finish_of(generation.finish);
    info.n_tokens = static_cast<int32_t>(generation.ids.size());
    info.confidence = generation.confidence();
    info.stop_logprob = generation.stop_logprob;
    info.encode_ms = generation.encode_ms;
    info.prefill_ms = generation.prefill_ms;
    info.decode_ms = generation.decode_ms;
    info.n_lines = result.lines.size();
    info.n_words = result.words.size();
    return info;
}

void answer(const crispvl_model& model, const Conversation& conversation,
            const crispvl_recognize_params& params, crispvl_result& result) {
    const auto start = std::chrono::steady_clock::now();
    GenerateRequest request;
    request.options = {sampling_options(params), token_limit(params),
                       params.ignore_stop_tokens == 0};
    std::vector<int64_t> n_image_tokens;
    for (const crispvl_image* image : conversation.images) {
        add_image(model, image, params, /*alone=*/conversation.images.size() == 1, request,
                  n_image_tokens, result.info);
    }
    if (conversation.images.size() != 1) {  // the answer to several images is no one's page
        result.info.width_px = result.info.height_px = 0;
        result.info.n_columns = result.info.n_rows = 0;
    }
    request.prompt_ids = model.prompts->build(conversation.messages, n_image_tokens);
    const auto end = std::chrono::steady_clock::now();
    result.info.image_ms = std::chrono::duration<double, std::milli>(end - start).count();
    result.info.n_prompt_tokens = static_cast<int32_t>(request.prompt_ids.size());
    result.info.n_tiles = static_cast<int32_t>(request.n_tiles);
    result.info.layout = CRISPVL_LAYOUT_PAGE;
    CancelInterrupt interrupt(params.cancel);
    generate(model.core, *model.prompts, request, callbacks_of(params), &interrupt,
             result.generation);
}

// Where nothing was read. The image is opened again, which is rare and spares the memory of a page.
void look_for_unread_ink(const crispvl_image* image, crispvl_result& result) {
    const Generation& written = result.generation;
    if (written.finish != Finish::stop || !is_white(written.text)) return;
    result.info.unread_ink = static_cast<int32_t>(!is_blank(open_image(image)));
}

// Runs `work(result)`; a cancelled answer is given out as well.
template <class Work>
crispvl_status give_result(crispvl_result** out, Work&& work) {
    std::unique_ptr<crispvl_result> result;
    const crispvl_status status = guarded([&] {
        deref(out, "a place for the result") = nullptr;
        result = std::make_unique<crispvl_result>();
        work(*result);
    });
    if (out != nullptr && (status == CRISPVL_OK || status == CRISPVL_ERROR_CANCELLED)) {
        *out = result.release();
    }
    return status;
}

}  // namespace

Conversation read_messages(const crispvl_message* messages, size_t n_messages) {
    require(messages != nullptr && n_messages > 0 && n_messages <= kMostMessages,
            "[messages] expected at least one message; found none; add the user's");
    Conversation conversation;
    for (const crispvl_message& message :
         std::vector<crispvl_message>(messages, messages + n_messages)) {
        PromptMessage read{&deref(message.role, "a role"), {}};
        require(message.parts != nullptr || message.n_parts == 0,
                "[messages] expected parts; found NULL; pass 0 for none");
        require(message.n_parts <= kMostMessages,
                "[messages] expected a number of parts; found a larger one; correct n_parts");
        for (size_t i = 0; i < message.n_parts; ++i) {
            const crispvl_part& part = message.parts[i];
            require((part.text != nullptr) != (part.image != nullptr),
                    "[messages] expected a part with either a text or an image; found both or "
                    "neither; set one of them");
            read.parts.push_back(
                {part.image != nullptr, part.text == nullptr ? std::string_view() : part.text});
            if (part.image != nullptr) conversation.images.push_back(part.image);
        }
        conversation.messages.push_back(std::move(read));
    }
    return conversation;
}

}  // namespace crispvl::capi

using namespace crispvl;
using namespace crispvl::capi;

crispvl_status crispvl_recognize(const crispvl_model* model, const crispvl_image* image,
                                 const crispvl_recognize_params* params, crispvl_result** out) {
    return give_result(out, [&](crispvl_result& result) {
        const crispvl_model& checked = with_weights(model);
        deref(image, "an image");
        const crispvl_recognize_params known = read_params(params);
        const std::string prompt = known.prompt != nullptr ? known.prompt
                                                           : prompt_for(checked.core->config().chat,
                                                                        number_of(known.task));
        const crispvl_layout layout = layout_of(checked, known);
        if (layout == CRISPVL_LAYOUT_LINES) {
            read_lines(checked, image, known, result);
        } else if (layout == CRISPVL_LAYOUT_PAGE ||
                   !read_blocks(checked, image, prompt, known, result)) {
            answer(checked, {{{"user", {{true, {}}, {false, prompt}}}}, {image}}, known, result);
        }
        look_for_unread_ink(image, result);
    });
}

crispvl_status crispvl_chat(const crispvl_model* model, const crispvl_message* messages,
                            size_t n_messages, const crispvl_recognize_params* params,
                            crispvl_result** out) {
    return give_result(out, [&](crispvl_result& result) {
        const crispvl_model& checked = with_weights(model);
        answer(checked, read_messages(messages, n_messages), read_params(params), result);
    });
}

const char* crispvl_result_text(const crispvl_result* result) {
    return result == nullptr ? nullptr : result->generation.text.c_str();
}

const int32_t* crispvl_result_ids(const crispvl_result* result) {
    return result == nullptr ? nullptr : result->generation.ids.data();
}

const float* crispvl_result_logprobs(const crispvl_result* result) {
    return result == nullptr ? nullptr : result->generation.logprobs.data();
}

crispvl_status crispvl_result_get_info(const crispvl_result* result, crispvl_result_info* info,
                                       size_t struct_size) {
    return guarded([&] {
        write_struct(info_of(deref(result, "a result")), &deref(info, "a place for the info"),
                     struct_size);
    });
}

void crispvl_result_free(crispvl_result* result) {
    delete result;
}
