// Answers a prompt: encode, prefill, then one token at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "engine/sampler.h"
#include "model/model.h"
#include "text/prompt.h"

namespace crispvl {

struct GenerateRequest {
    std::vector<int32_t> prompt_ids;
    std::vector<uint8_t> tiles;  // [n_tiles, tile_px, tile_px, 3] of all images
    int64_t n_tiles = 0;
    int64_t max_tokens = 0;
    bool stop_at_eos = true;  // at the model's end-of-answer tokens
    SamplingOptions sampling;
};

// A token and the text it completes. What an unfinished last character leaves behind has id -1.
struct GeneratedToken {
    int32_t id;
    float logprob;
    const std::string& text;
};

struct GenerateCallbacks {
    TileProgress on_tiles;                                // may be empty
    std::function<bool(const GeneratedToken&)> on_token;  // may be empty; false: no more is wanted
};

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

// Writes the answer into `generation` as it comes, so that it holds what there is when this throws.
// `interrupt` may be null. Throws Error{cancelled, context_overflow, memory, device}.
void generate(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
              const GenerateRequest& request, const GenerateCallbacks& callbacks,
              Interrupt* interrupt, Generation& generation);

}  // namespace crispvl
