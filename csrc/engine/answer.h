// One answer under way: tokens chosen from its session's logits, and the text that they make.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "engine/session.h"
#include "text/detokenizer.h"
#include "text/prompt.h"

namespace crispvl {

// A token and the text it completes. What an unfinished last character leaves behind has id -1.
struct GeneratedToken {
    int32_t id;
    float logprob;
    const std::string& text;
};

// May be empty; false: no more is wanted.
using TokenCallback = std::function<bool(const GeneratedToken&)>;

enum class Finish { stop, length, cancelled };

struct Generation {
    std::string text;  // without special tokens
    std::vector<int32_t> ids;
    std::vector<float> logprobs;        // under the model's own distribution
    Finish finish = Finish::cancelled;  // until the end is reached
    float stop_logprob = std::numeric_limits<float>::quiet_NaN();  // of the end's token
    double encode_ms = 0, prefill_ms = 0, decode_ms = 0;

    // Geometric mean of the tokens' probabilities, the end's included; 0 without any.
    float confidence() const;
};

struct AnswerOptions {
    SamplingOptions sampling;
    int64_t max_tokens = 0;
    bool stop_at_eos = true;  // at the model's end-of-answer tokens
};

// Writes into `generation` as it goes. All that is given has to outlive it.
class Answer {
public:
    Answer(Session& session, const PromptBuilder& prompts, const AnswerOptions& options,
           TokenCallback on_token, Generation& generation);

    // Chooses the token after the session's last. Returns whether the answer goes on: the session
    // has to append token() then.
    bool choose();
    int32_t token() const { return generation_.ids.back(); }
    // Tells what an unfinished last character leaves behind, once the answer is over.
    void finish();

private:
    bool add(const Sampled& token);
    bool tell(int32_t id, float logprob, const std::string& text);

    Session& session_;
    const PromptBuilder& prompts_;
    AnswerOptions options_;
    TokenCallback on_token_;
    Generation& generation_;
    Sampler sampler_;
    Detokenizer detokenizer_;
};

}  // namespace crispvl
