// From messages to token ids, so that only the chat format can write special tokens: "<|im_end|>"
// or "<img>" in a caller's text stay plain text. Follows python/crispvl/prompts/builder.py, to the
// id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "text/piece_trie.h"
#include "text/tokenizer.h"

namespace crispvl {

// What a model's file says about its prompts.
struct PromptConfig {
    std::string conversation;                   // name in the conversation table, or ""
    std::optional<std::string> system_message;  // none: the conversation's own
    int32_t image_start_id, image_end_id, image_context_id;
    std::vector<int32_t> stop_ids;
};

// A piece of a message: a text, or the place of an image.
struct PromptPart {
    bool is_image;
    std::string_view text;  // UTF-8
};

struct PromptMessage {
    std::string_view role;  // "system" (first message only), "user" or "assistant"
    std::vector<PromptPart> parts;
};

// Renders messages in a model's conversation format and tokenises the result. Immutable.
//
// Jinja templates are not evaluated here. A file that names none of our conversations is prompted
// as the templates of InternVL's `-hf` checkpoints do it, when its vocabulary has "<|im_start|>":
// ChatML with a system turn only where one is given, and nothing between the parts of a message.
class PromptBuilder {
public:
    // Throws Error{model_file} for a file whose format is unknown.
    PromptBuilder(const Tokenizer& tokenizer, PromptConfig config);

    // Returns the prompt's ids, BOS first where the model wants one.
    // `n_image_tokens`: per image part, in order, how many context tokens it takes.
    // Throws Error{argument}.
    std::vector<int32_t> build(const std::vector<PromptMessage>& messages,
                               const std::vector<int64_t>& n_image_tokens) const;

    // Tokens that are no text: roles, image marks, ends of answers.
    bool is_control(int32_t id) const { return control_ids_.count(id) != 0; }
    // Tokens that end an answer.
    bool is_stop(int32_t id) const { return stop_ids_.count(id) != 0; }

private:
    class Text;  // a prompt's text between two images

    std::vector<Text> render(const std::vector<PromptMessage>& messages) const;
    void hide(Text& text, std::string_view utf8) const;
    void tokenize(const Text& text, std::vector<int32_t>& ids) const;

    const Tokenizer& tokenizer_;
    PromptConfig config_;
    size_t i_conversation_;
    bool is_deduced_ = false;  // the file names no conversation
    std::unordered_set<int32_t> stop_ids_, control_ids_;
    std::vector<std::string> control_pieces_;
    PieceTrie added_;       // pieces that the tokenizer matches as a whole
    size_t n_longest_ = 0;  // bytes of the longest of them
};

// What to ask of a page where neither the caller nor the model's file has a prompt.
std::string_view general_prompt(bool markdown);

}  // namespace crispvl
