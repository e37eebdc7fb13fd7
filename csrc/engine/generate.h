// Answers a prompt: encode, prefill, then one token at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/answer.h"
#include "model/model.h"
#include "text/prompt.h"

namespace crispvl {

struct GenerateRequest {
    std::vector<int32_t> prompt_ids;
    std::vector<uint8_t> tiles;  // [n_tiles, tile_px, tile_px, 3] of all images
    int64_t n_tiles = 0;
    AnswerOptions options;
};

struct GenerateCallbacks {
    TileProgress on_tiles;  // may be empty
    TokenCallback on_token;
};

// How many tokens may be generated: max_tokens, or what the context leaves. Throws
// Error{context_overflow} where it leaves none.
int64_t token_budget(const ModelConfig& config, const std::vector<int32_t>& prompt_ids,
                     int64_t max_tokens);

// Writes the answer into `generation` as it comes, so that it holds what there is when this throws.
// `interrupt` may be null. Throws Error{cancelled, context_overflow, memory, device}.
void generate(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
              const GenerateRequest& request, const GenerateCallbacks& callbacks,
              Interrupt* interrupt, Generation& generation);

}  // namespace crispvl
