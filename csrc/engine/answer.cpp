#include "engine/answer.h"

#include <cmath>
#include <utility>

namespace crispvl {

float Generation::confidence() const {
    double sum = 0;
    for (const float logprob : logprobs) sum += static_cast<double>(logprob);
    const bool has_end = finish == Finish::stop && !std::isnan(stop_logprob);
    if (has_end) sum += static_cast<double>(stop_logprob);
    const size_t n = logprobs.size() + (has_end ? 1 : 0);
    return n == 0 ? 0.0f : static_cast<float>(std::exp(sum / static_cast<double>(n)));
}

Answer::Answer(Session& session, const PromptBuilder& prompts, const AnswerOptions& options,
               TokenCallback on_token, Generation& generation)
    : session_(session),
      prompts_(prompts),
      options_(options),
      on_token_(std::move(on_token)),
      generation_(generation),
      sampler_(options.sampling),
      detokenizer_(session.model().tokenizer()) {}

bool Answer::choose() {
    const Sampled token = session_.sample(sampler_);
    if (options_.stop_at_eos && prompts_.is_stop(token.id)) {
        generation_.finish = Finish::stop;
        generation_.stop_logprob = token.logprob;
        return false;
    }
    if (!add(token)) return false;
    if (static_cast<int64_t>(generation_.ids.size()) < options_.max_tokens) return true;
    generation_.finish = Finish::length;
    return false;
}

void Answer::finish() {
    const std::string rest = detokenizer_.finish();
    if (!rest.empty()) tell(-1, 0.0f, rest);
}

bool Answer::add(const Sampled& token) {
    // The decoder's table may be padded beyond the tokenizer's last token.
    const bool is_text =
        token.id < session_.model().tokenizer().size() && !prompts_.is_control(token.id);
    generation_.ids.push_back(token.id);
    generation_.logprobs.push_back(token.logprob);
    return tell(token.id, token.logprob, is_text ? detokenizer_.push(token.id) : std::string());
}

bool Answer::tell(int32_t id, float logprob, const std::string& text) {
    generation_.text += text;
    return !on_token_ || on_token_({id, logprob, text});
}

}  // namespace crispvl
