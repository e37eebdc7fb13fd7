#include "engine/generate.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "engine/clock.h"
#include "engine/decode.h"
#include "engine/prefill.h"
#include "model/routing.h"

namespace crispvl {
namespace {

// The prompt with the embeddings of its image tokens, without those that a router leaves out.
RoutedPrompt encoded_prompt(const Model& model, const GenerateRequest& request,
                            const TileProgress& on_tiles, Interrupt* interrupt) {
    RoutedPrompt prompt{request.prompt_ids, {}};
    if (request.n_tiles == 0) return prompt;
    if (model.config().router) {
        const TileVariants variants =
            model.encode_variants(request.tiles.data(), request.n_tiles, interrupt, on_tiles);
        return route(model.config(), request.prompt_ids, variants);
    }
    prompt.rows = model.encode(request.tiles.data(), request.n_tiles, interrupt, on_tiles);
    return prompt;
}

}  // namespace

int64_t token_budget(const ModelConfig& config, const std::vector<int32_t>& prompt_ids,
                     int64_t max_tokens) {
    const int64_t span = prompt_span(config, prompt_ids);
    const int64_t context = config.decoder.context_length;
    if (span < context) return std::min(max_tokens, context - span);
    const auto n_image_tokens =
        std::count(prompt_ids.begin(), prompt_ids.end(), config.image.context_id);
    throw Error(ErrorKind::context_overflow,
                "[prompt] expected at most " + std::to_string(context - 1) +
                    " positions, so that the model's context of " + std::to_string(context) +
                    " has room for an answer; found " + std::to_string(span) + " for " +
                    std::to_string(prompt_ids.size()) + " tokens, " +
                    std::to_string(n_image_tokens) + " of them of images; lower max_tiles (" +
                    std::to_string(config.image.tokens_per_tile) +
                    " tokens per tile), send fewer images, or shorten the text");
}

void generate(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
              const GenerateRequest& request, const GenerateCallbacks& callbacks,
              Interrupt* interrupt, Generation& generation) {
    AnswerOptions options = request.options;
    options.max_tokens = token_budget(model->config(), request.prompt_ids, options.max_tokens);
    Clock clock;
    RoutedPrompt prompt = encoded_prompt(*model, request, callbacks.on_tiles, interrupt);
    clock.lap(generation.encode_ms);

    Session session(model, static_cast<int64_t>(prompt.ids.size()) + options.max_tokens);
    const int64_t width = model->config().decoder.width;
    prefill(session, prompt.ids, prompt.rows.empty() ? nullptr : prompt.rows.data(),
            static_cast<int64_t>(prompt.rows.size()) / width, interrupt);
    clock.lap(generation.prefill_ms);

    Answer answer(session, prompts, options, callbacks.on_token, generation);
    try {
        while (answer.choose()) decode(session, answer.token(), interrupt);
    } catch (const Error&) {
        clock.lap(generation.decode_ms);
        throw;
    }
    answer.finish();
    clock.lap(generation.decode_ms);
}

}  // namespace crispvl
