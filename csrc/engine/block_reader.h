// Reads a page block by block: each is cut out and shown on tiles of its own.
#pragma once

#include <memory>
#include <string>

#include "engine/generate.h"
#include "engine/reading.h"
#include "image/tiling.h"
#include "layout/layout.h"

namespace crispvl {

struct BlockRequest {
    Layout layout;          // of the page
    std::string question;   // about each block
    AnswerOptions options;  // its limit of tokens is that of the whole text
    TilingConfig tiling;    // of each block
};

struct BlockReading {
    Generation generation;  // the answers as one, with an empty line between
    int64_t n_tiles = 0;    // read so far
    int64_t n_prompt_tokens = 0;
    double image_ms = 0;  // cutting and tiling
};

// Writes what was read into `reading`, also where it throws. `interrupt` may be null.
// Throws Error{cancelled, context_overflow, memory, device}.
void read_by_blocks(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
                    const RgbImage& page, const BlockRequest& request,
                    const ReadingCallbacks& callbacks, Interrupt* interrupt, BlockReading& reading);

// Whether a text holds nothing but white space.
bool is_white(const std::string& utf8);

}  // namespace crispvl
