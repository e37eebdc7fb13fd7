#include "capi/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"

namespace crispvl::capi {
namespace {

// Token ids to text, one at a time, never splitting a character. A tokenizer may treat the first
// token of a list apart (SentencePiece drops a space there), so each is decoded after the one
// before.
class Detokenizer {
public:
    explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    std::string push(int32_t id) {
        const int32_t pair[] = {previous_, id};
        const bool alone = previous_ < 0;
        const std::string bytes = tokenizer_.decode(pair + (alone ? 1 : 0), alone ? 1 : 2, false);
        const std::string text = stream_.push(std::string_view(bytes).substr(n_previous_bytes_));
        previous_ = id;
        n_previous_bytes_ = tokenizer_.decode(&id, 1, false).size();
        return text;
    }
    std::string finish() { return stream_.finish(); }

private:
    const Tokenizer& tokenizer_;
    int32_t previous_ = -1;
    size_t n_previous_bytes_ = 0;
    Utf8Stream stream_;
};

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
int64_t token_budget(const ModelConfig& config, const Request& request, int32_t max_tokens) {
    const int64_t span = prompt_span(config, request.prompt_ids);
    const int64_t context = config.decoder.context_length;
    if (span < context) return std::min<int64_t>(max_tokens, context - span);
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

// Keeps what was generated and tells the callback.
class Answer {
public:
    Answer(const crispvl_model& model, const crispvl_recognize_params& params,
           crispvl_result& result)
        : model_(model), params_(params), result_(result), detokenizer_(model.core->tokenizer()) {}

    // Returns false when the callback wants no more.
    bool add(const Sampled& token) {
        // The decoder's table may be padded beyond the tokenizer's last token.
        const bool is_text =
            token.id < model_.core->tokenizer().size() && !model_.prompts->is_control(token.id);
        result_.ids.push_back(token.id);
        result_.logprobs.push_back(token.logprob);
        result_.info.n_tokens = static_cast<int32_t>(result_.ids.size());
        sum_logprob_ += static_cast<double>(token.logprob);
        return tell(token.id, token.logprob, is_text ? detokenizer_.push(token.id) : std::string());
    }
    void end(const Sampled& stop) {
        result_.info.stop_logprob = stop.logprob;
        sum_logprob_ += static_cast<double>(stop.logprob);
        ++n_stop_;
    }
    void finish() {
        const std::string rest = detokenizer_.finish();
        if (!rest.empty()) tell(-1, 0.0f, rest);
    }
    // What is so far.
    float confidence() const {
        const size_t n = result_.ids.size() + n_stop_;
        return n == 0 ? 0.0f : static_cast<float>(std::exp(sum_logprob_ / static_cast<double>(n)));
    }

private:
    bool tell(int32_t id, float logprob, const std::string& text) {
        result_.text += text;
        if (params_.on_token == nullptr) return true;
        const crispvl_token token{id, logprob, text.c_str()};
        return params_.on_token(&token, params_.user_data) == 0;
    }

    const crispvl_model& model_;
    const crispvl_recognize_params& params_;
    crispvl_result& result_;
    Detokenizer detokenizer_;
    double sum_logprob_ = 0;
    size_t n_stop_ = 0;
};

void decode(const crispvl_model& model, Session& session, const crispvl_recognize_params& params,
            int64_t budget, Interrupt& interrupt, Answer& answer, crispvl_result_info& info) {
    Sampler sampler = make_sampler(params);
    while (true) {
        const Sampled token = session.sample(sampler);
        if (params.ignore_stop_tokens == 0 && model.prompts->is_stop(token.id)) {
            info.finish = CRISPVL_FINISH_STOP;
            answer.end(token);
            return;
        }
        if (!answer.add(token)) return;
        if (info.n_tokens == budget) {
            info.finish = CRISPVL_FINISH_LENGTH;
            return;
        }
        session.decode(token.id, &interrupt);
    }
}

}  // namespace

void generate(const crispvl_model& model, const Request& request,
              const crispvl_recognize_params& params, crispvl_result& result) {
    const Model& core = *model.core;
    crispvl_result_info& info = result.info;
    info.finish = CRISPVL_FINISH_CANCELLED;  // until the end is reached
    info.stop_logprob = std::numeric_limits<float>::quiet_NaN();
    info.n_prompt_tokens = static_cast<int32_t>(request.prompt_ids.size());
    info.n_tiles = static_cast<int32_t>(request.n_tiles);
    const int64_t budget = token_budget(core.config(), request, params.max_tokens);
    CancelInterrupt interrupt(params.cancel);
    Clock clock;

    RoutedPrompt prompt{request.prompt_ids, {}};
    if (request.n_tiles > 0) {
        TileProgress progress;
        if (params.on_progress != nullptr) {
            progress = [&](int64_t n_done, int64_t n_total) {
                params.on_progress(static_cast<int32_t>(n_done), static_cast<int32_t>(n_total),
                                   params.user_data);
            };
        }
        if (core.config().router) {
            const TileVariants variants =
                core.encode_variants(request.tiles.data(), request.n_tiles, &interrupt, progress);
            prompt = route(core.config(), request.prompt_ids, variants);
        } else {
            prompt.rows = core.encode(request.tiles.data(), request.n_tiles, &interrupt, progress);
        }
    }
    clock.lap(info.encode_ms);

    Session session(model.core, static_cast<int64_t>(prompt.ids.size()) + budget);
    const int64_t width = core.config().decoder.width;
    session.prefill(prompt.ids, prompt.rows.empty() ? nullptr : prompt.rows.data(),
                    static_cast<int64_t>(prompt.rows.size()) / width, &interrupt);
    clock.lap(info.prefill_ms);

    Answer answer(model, params, result);
    const auto close = [&] {
        info.confidence = answer.confidence();
        clock.lap(info.decode_ms);
    };
    try {
        decode(model, session, params, budget, interrupt, answer, info);
    } catch (const Error&) {
        close();
        throw;
    }
    answer.finish();
    close();
}

}  // namespace crispvl::capi
