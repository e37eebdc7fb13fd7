#include "text/prompt.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"

namespace crispvl {
namespace {

struct Conversation {
    const char *name, *system_prefix, *system_message, *system_suffix, *user_prefix, *user_suffix,
        *assistant_prefix, *assistant_suffix, *answer_prefix;
};

// The table, from python/crispvl/prompts/conversations.json.
#include "crispvl_conversations.inc"

constexpr std::string_view kChatMl = "internvl2_5";  // of the ChatML rows the standard one
constexpr std::string_view kChatMlMark = "<|im_start|>";

size_t find_conversation(std::string_view name) {
    const auto row = std::find_if(std::begin(kConversations), std::end(kConversations),
                                  [&](const Conversation& c) { return name == c.name; });
    return static_cast<size_t>(row - std::begin(kConversations));
}

Error unknown_role(std::string_view role) {
    return Error(ErrorKind::argument,
                 "[messages] expected turns of 'user' and 'assistant' after at most one 'system'; "
                 "found a further '" +
                     repair_utf8(role) + "'; this model's format has no place for it");
}

}  // namespace

class PromptBuilder::Text {
public:
    void write(std::string_view utf8, bool is_hidden) {
        bytes_ += utf8;
        hidden_.append(utf8.size(), is_hidden ? '\1' : '\0');
    }
    void hide_last(size_t n_bytes) { hidden_.replace(size() - n_bytes, n_bytes, n_bytes, '\1'); }

    size_t size() const { return bytes_.size(); }
    std::string_view from(size_t at, size_t n_bytes) const {
        return std::string_view(bytes_).substr(at, n_bytes);
    }
    // Up to the next hidden byte, at most `n_most` bytes.
    std::string_view visible_from(size_t at, size_t n_most = std::string_view::npos) const {
        const std::string_view marks = std::string_view(hidden_).substr(at, n_most);
        return from(at, std::min(marks.find('\1'), marks.size()));
    }
    // Whether the text ends in these bytes, none of them hidden.
    bool ends_in(std::string_view ending) const {
        return size() >= ending.size() && visible_from(size() - ending.size()) == ending;
    }

private:
    std::string bytes_, hidden_;  // hidden_[i]: '\1' where bytes_[i] may not become a special token
};

PromptBuilder::PromptBuilder(const Tokenizer& tokenizer, PromptConfig config)
    : tokenizer_(tokenizer),
      config_(std::move(config)),
      i_conversation_(find_conversation(config_.conversation)) {
    if (i_conversation_ == std::size(kConversations)) {
        if (tokenizer.find(kChatMlMark) < 0) {
            throw Error(ErrorKind::model_file,
                        "[chat template] expected the name of a known conversation, or a "
                        "vocabulary with '<|im_start|>'; found that the file names '" +
                            repair_utf8(config_.conversation) + "'; convert the model again");
        }
        i_conversation_ = find_conversation(kChatMl);
        is_deduced_ = true;
    }
    const VocabData& vocab = tokenizer.vocab();
    stop_ids_.insert(config_.stop_ids.begin(), config_.stop_ids.end());
    stop_ids_.insert(vocab.eos_id);
    stop_ids_.erase(-1);
    control_ids_ = stop_ids_;
    control_ids_.insert({config_.image_start_id, config_.image_end_id, config_.image_context_id});
    for (int32_t id = 0; id < tokenizer.size(); ++id) {
        const size_t i = static_cast<size_t>(id);
        const bool typed = !vocab.types.empty();
        if (typed && vocab.types[i] == static_cast<int32_t>(TokenType::control)) {
            control_ids_.insert(id);
        }
        const bool user_defined =
            typed && vocab.types[i] == static_cast<int32_t>(TokenType::user_defined);
        if (!user_defined && !is_control(id)) continue;
        added_.add(vocab.tokens[i], id);
        n_longest_ = std::max(n_longest_, vocab.tokens[i].size());
        if (is_control(id) && !vocab.tokens[i].empty()) control_pieces_.push_back(vocab.tokens[i]);
    }
}

std::vector<int32_t> PromptBuilder::build(const std::vector<PromptMessage>& messages,
                                          const std::vector<int64_t>& n_image_tokens) const {
    const std::vector<Text> texts = render(messages);
    if (texts.size() != n_image_tokens.size() + 1) {
        throw Error(ErrorKind::argument, "[messages] expected a number of tokens for each of the " +
                                             std::to_string(texts.size() - 1) + " images; found " +
                                             std::to_string(n_image_tokens.size()) +
                                             "; give one per image part");
    }
    std::vector<int32_t> ids;
    tokenize(texts[0], ids);
    for (size_t i = 0; i < n_image_tokens.size(); ++i) {
        ids.push_back(config_.image_start_id);
        ids.insert(ids.end(), static_cast<size_t>(n_image_tokens[i]), config_.image_context_id);
        ids.push_back(config_.image_end_id);
        tokenize(texts[i + 1], ids);
    }
    const VocabData& vocab = tokenizer_.vocab();
    const bool wants_bos = vocab.add_bos && vocab.bos_id >= 0;
    if (wants_bos && (ids.empty() || ids.front() != vocab.bos_id)) {
        ids.insert(ids.begin(), vocab.bos_id);
    }
    return ids;
}

std::vector<PromptBuilder::Text> PromptBuilder::render(
    const std::vector<PromptMessage>& messages) const {
    if (messages.empty()) {
        throw Error(ErrorKind::argument,
                    "[messages] expected at least one message; found none; add the user's");
    }
    const Conversation& c = kConversations[i_conversation_];
    size_t n_images = 0;
    for (const PromptMessage& message : messages) {
        n_images += static_cast<size_t>(
            std::count_if(message.parts.begin(), message.parts.end(),
                          [](const PromptPart& part) { return part.is_image; }));
    }
    std::vector<Text> texts(1);
    size_t i_image = 0;
    const auto write_turn = [&](const char* prefix, const PromptMessage& message,
                                const char* suffix) {
        texts.back().write(prefix, /*is_hidden=*/false);
        for (size_t i = 0; i < message.parts.size(); ++i) {
            const PromptPart& part = message.parts[i];
            if (part.is_image) {
                ++i_image;
                // As the model cards' multi-image examples write them.
                const std::string label = "Image-" + std::to_string(i_image) + ": ";
                if (n_images > 1 && !is_deduced_) texts.back().write(label, /*is_hidden=*/false);
                texts.emplace_back();
                texts.back().write("\n", /*is_hidden=*/false);
                continue;
            }
            hide(texts.back(), part.text);
            const bool is_last = i + 1 == message.parts.size();
            if (!is_last && !is_deduced_) texts.back().write("\n", /*is_hidden=*/false);
        }
        texts.back().write(suffix, /*is_hidden=*/false);
    };

    const bool brings_system = messages[0].role == "system";
    if (brings_system) {
        write_turn(c.system_prefix, messages[0], c.system_suffix);
    } else if (!is_deduced_ || !config_.system_message.value_or("").empty()) {
        texts.back().write(c.system_prefix, /*is_hidden=*/false);
        texts.back().write(config_.system_message.value_or(c.system_message), /*is_hidden=*/false);
        texts.back().write(c.system_suffix, /*is_hidden=*/false);
    }
    for (size_t i = brings_system ? 1 : 0; i < messages.size(); ++i) {
        if (messages[i].role == "user") {
            write_turn(c.user_prefix, messages[i], c.user_suffix);
        } else if (messages[i].role == "assistant") {
            write_turn(c.assistant_prefix, messages[i], c.assistant_suffix);
        } else {
            throw unknown_role(messages[i].role);
        }
    }
    texts.back().write(c.answer_prefix, /*is_hidden=*/false);
    return texts;
}

// Writes a caller's text. Hidden are whole special tokens, and at the end what a following text
// could complete to one.
void PromptBuilder::hide(Text& text, std::string_view utf8) const {
    const std::string repaired = repair_utf8(utf8);
    const std::string_view view = repaired;
    const auto allowed = [&](int32_t id) { return is_control(id); };
    Text own;
    for (size_t at = 0; at < view.size();) {
        const PieceTrie::Match match = added_.longest_match(view.substr(at), allowed);
        const size_t n_bytes = match.id >= 0 ? match.n_bytes : 1;
        own.write(view.substr(at, n_bytes), match.id >= 0);
        at += n_bytes;
    }
    size_t n_beginning = 0;
    for (const std::string_view piece : control_pieces_) {
        for (size_t n = piece.size() - 1; n > n_beginning; --n) {
            if (own.ends_in(piece.substr(0, n))) n_beginning = n;
        }
    }
    own.hide_last(n_beginning);
    for (size_t at = 0; at < own.size();) {
        const size_t n_visible = own.visible_from(at).size();
        text.write(own.from(at, std::max<size_t>(n_visible, 1)), n_visible == 0);
        at += std::max<size_t>(n_visible, 1);
    }
}

// Cuts the text at the special tokens it shows; what is between is tokenised in one piece, for a
// merge may cross from the format's text to the caller's.
void PromptBuilder::tokenize(const Text& text, std::vector<int32_t>& ids) const {
    size_t begin = 0;
    const auto encode_until = [&](size_t end) {
        if (end == begin) return;
        const std::vector<int32_t> piece =
            tokenizer_.encode(text.from(begin, end - begin), /*parse_special=*/false,
                              /*previous=*/ids.empty() ? -1 : ids.back());
        ids.insert(ids.end(), piece.begin(), piece.end());
    };
    const auto any = [](int32_t) { return true; };
    for (size_t at = 0; at < text.size();) {
        const PieceTrie::Match match = added_.longest_match(text.visible_from(at, n_longest_), any);
        if (match.id < 0) {
            ++at;
            continue;
        }
        encode_until(at);
        ids.push_back(match.id);
        begin = at += match.n_bytes;
    }
    encode_until(text.size());
}

std::string_view general_prompt(bool markdown) {
    return markdown ? kPromptMarkdown : kPromptText;
}

}  // namespace crispvl
