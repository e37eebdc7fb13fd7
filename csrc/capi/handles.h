// What the opaque handles of crispvl.h are.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/generate.h"
#include "engine/session.h"
#include "include/crispvl.h"
#include "text/prompt.h"

struct crispvl_cancel {
    std::atomic<bool> is_requested{false};
};

struct crispvl_model {
    std::shared_ptr<const crispvl::Model> core;
    std::optional<crispvl::PromptBuilder> prompts;  // none with vocab_only
    std::string name, device;
};

struct crispvl_session {
    crispvl::Session core;
};

struct crispvl_sampler {
    crispvl::Sampler core;
};

// A line or a word, with the text that `known` points to.
struct crispvl_placed_part {
    std::string text;
    crispvl_text_part known;
};

struct crispvl_result {
    crispvl::Generation generation;
    crispvl_result_info info;                       // what `generation` does not tell
    std::vector<crispvl_placed_part> lines, words;  // of a page that was read by lines
};

namespace crispvl::capi {

// Asks a crispvl_cancel, which may be null, whether to stop.
class CancelInterrupt : public Interrupt {
public:
    explicit CancelInterrupt(const crispvl_cancel* cancel) : cancel_(cancel) {}
    bool requested() override {
        return cancel_ != nullptr && cancel_->is_requested.load(std::memory_order_relaxed);
    }

private:
    const crispvl_cancel* cancel_;
};

// Throws Error{argument} for a null handle and for a model loaded with vocab_only.
const crispvl_model& with_weights(const crispvl_model* model);

// Reads a page by its lines, into `result` as it goes.
void read_lines(const crispvl_model& model, const crispvl_image* image,
                const crispvl_recognize_params& params, crispvl_result& result);
// Reads a page by its blocks, into `result` as it goes. Where it is legible as a whole and the
// params leave the layout to it, it is not read, and false is returned.
bool read_blocks(const crispvl_model& model, const crispvl_image* image, const std::string& prompt,
                 const crispvl_recognize_params& params, crispvl_result& result);

// Messages and their images, checked. The views point into the caller's strings.
struct Conversation {
    std::vector<PromptMessage> messages;
    std::vector<const crispvl_image*> images;
};
Conversation read_messages(const crispvl_message* messages, size_t n_messages);

}  // namespace crispvl::capi
