#include "engine/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"
#include "engine/decode.h"
#include "engine/prefill.h"
#include "model/routing.h"
#include "text/detokenizer.h"

namespace crispvl {
namespace {

// Adds the time since its last use to a sum.
class Clock {
public:
    void lap(double& sum_ms) {
        const auto now = std::chrono::steady_clock::now();
        sum_ms += std::chrono::duration<double, std::milli>(now - since_).count();
        since_ = now;
    }

private:
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

// How many tokens may be generated: max_tokens, or what the context leaves.
int64_t token_budget(const ModelConfig& config, const GenerateRequest& request) {
    const int64_t span = prompt_span(config, request.prompt_ids);
    const int64_t context = config.decoder.context_length;
    if (span < context) return std::min(request.max_tokens, context - span);
    throw Error(ErrorKind::context_overflow,
                "[prompt] expected at most " + std::to_string(context - 1) +
                    " positions, so that the model's context of " + std::to_string(context) +
                    " has room for an answer; found " + std::to_string(span) + " for " +
                    std::to_string(request.prompt_ids.size()) + " tokens, " +
                    std::to_string(request.n_tiles * config.image.tokens_per_tile) +
                    " of them of images; lower max_tiles (" +
                    std::to_string(config.image.tokens_per_tile) +
                    " tokens per tile), send fewer images, or shorten the text");
}

// The prompt with the embeddings of its image tokens, of which a router may leave some out.
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

// Keeps what was generated and tells the callback.
class Writer {
public:
    Writer(const Model& model, const PromptBuilder& prompts, const GenerateCallbacks& callbacks,
           Generation& generation)
        : model_(model),
          prompts_(prompts),
          callbacks_(callbacks),
          generation_(generation),
          detokenizer_(model.tokenizer()) {}

    // Returns false when no more is wanted.
    bool add(const Sampled& token) {
        // The decoder's table may be padded beyond the tokenizer's last token.
        const bool is_text = token.id < model_.tokenizer().size() && !prompts_.is_control(token.id);
        generation_.ids.push_back(token.id);
        generation_.logprobs.push_back(token.logprob);
        return tell(token.id, token.logprob, is_text ? detokenizer_.push(token.id) : std::string());
    }
    void finish() {
        const std::string rest = detokenizer_.finish();
        if (!rest.empty()) tell(-1, 0.0f, rest);
    }

private:
    bool tell(int32_t id, float logprob, const std::string& text) {
        generation_.text += text;
        return !callbacks_.on_token || callbacks_.on_token({id, logprob, text});
    }

    const Model& model_;
    const PromptBuilder& prompts_;
    const GenerateCallbacks& callbacks_;
    Generation& generation_;
    Detokenizer detokenizer_;
};

void write(Session& session, const PromptBuilder& prompts, const GenerateRequest& request,
           int64_t budget, Interrupt* interrupt, Writer& writer, Generation& generation) {
    Sampler sampler(request.sampling);
    while (true) {
        const Sampled token = session.sample(sampler);
        if (request.stop_at_eos && prompts.is_stop(token.id)) {
            generation.finish = Finish::stop;
            generation.stop_logprob = token.logprob;
            return;
        }
        if (!writer.add(token)) return;
        if (static_cast<int64_t>(generation.ids.size()) == budget) {
            generation.finish = Finish::length;
            return;
        }
        decode(session, token.id, interrupt);
    }
}

}  // namespace

float Generation::confidence() const {
    double sum = 0;
    for (const float logprob : logprobs) sum += static_cast<double>(logprob);
    const bool has_end = finish == Finish::stop;
    if (has_end) sum += static_cast<double>(stop_logprob);
    const size_t n = logprobs.size() + (has_end ? 1 : 0);
    return n == 0 ? 0.0f : static_cast<float>(std::exp(sum / static_cast<double>(n)));
}

void generate(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
              const GenerateRequest& request, const GenerateCallbacks& callbacks,
              Interrupt* interrupt, Generation& generation) {
    const int64_t budget = token_budget(model->config(), request);
    Clock clock;
    RoutedPrompt prompt = encoded_prompt(*model, request, callbacks.on_tiles, interrupt);
    clock.lap(generation.encode_ms);

    Session session(model, static_cast<int64_t>(prompt.ids.size()) + budget);
    const int64_t width = model->config().decoder.width;
    prefill(session, prompt.ids, prompt.rows.empty() ? nullptr : prompt.rows.data(),
            static_cast<int64_t>(prompt.rows.size()) / width, interrupt);
    clock.lap(generation.prefill_ms);

    Writer writer(*model, prompts, callbacks, generation);
    try {
        write(session, prompts, request, budget, interrupt, writer, generation);
    } catch (const Error&) {
        clock.lap(generation.decode_ms);
        throw;
    }
    writer.finish();
    clock.lap(generation.decode_ms);
}

}  // namespace crispvl
