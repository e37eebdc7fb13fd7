// What both kinds of tokenizer share: checks of the vocabulary, tokens found by their text, decode.
#include "text/tokenizer.h"

#include <limits>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace crispvl {
namespace {

// Spans in a text are int32_t, and escaping a space as U+2581 triples its bytes.
constexpr size_t kMaxTextBytes = std::numeric_limits<int32_t>::max() / 4;

size_t n_space_bytes(std::string_view text) {
    size_t n = 0;
    while (n < text.size()) {
        const Utf8Step step = utf8_step(text.substr(n));
        if (char_class(step.code_point) != CharClass::space) break;
        n += step.n_bytes;
    }
    return n;
}

}  // namespace

void refuse_vocabulary(const std::string& expected_and_found) {
    throw Error(ErrorKind::model_file, "[tokenizer] " + expected_and_found +
                                           "; convert the model again from its checkpoint");
}

Tokenizer::Tokenizer(VocabData data) : vocab_(std::move(data)) {
    const size_t n_tokens = vocab_.tokens.size();
    if (n_tokens == 0 || n_tokens > std::numeric_limits<int32_t>::max()) {
        refuse_vocabulary("expected the vocabulary in 'tokenizer.ggml.tokens'; found " +
                          std::to_string(n_tokens) + " entries");
    }
    check_length("scores", vocab_.scores.size(), n_tokens);
    check_length("token_type", vocab_.types.size(), n_tokens);
    check_special("bos", vocab_.bos_id, n_tokens);
    check_special("eos", vocab_.eos_id, n_tokens);
    check_special("unknown", vocab_.unk_id, n_tokens);

    for (const int32_t id : vocab_.strip_after) check_special("strip_after", id, n_tokens);
    strip_after_.insert(vocab_.strip_after.begin(), vocab_.strip_after.end());

    ids_.reserve(n_tokens);
    for (int32_t id = 0; id < size(); ++id) {
        if (!piece(id).empty()) ids_.emplace(piece(id), id);  // of two equal pieces the first
        if (type(id) == TokenType::control || type(id) == TokenType::unknown) find_in_text(id);
    }
}

void Tokenizer::check_length(const char* key, size_t found, size_t n_tokens) {
    if (found == 0 || found == n_tokens) return;
    refuse_vocabulary("expected an entry for each of the " + std::to_string(n_tokens) +
                      " tokens in 'tokenizer.ggml." + key + "'; found " + std::to_string(found));
}

void Tokenizer::check_special(const char* key, int32_t id, size_t n_tokens) {
    if (id >= -1 && id < static_cast<int64_t>(n_tokens)) return;
    refuse_vocabulary(std::string("expected as 'tokenizer.ggml.") + key +
                      "_token_id' an id below " + std::to_string(n_tokens) + "; found " +
                      std::to_string(id));
}

TokenType Tokenizer::type(int32_t id) const {
    if (vocab_.types.empty()) return TokenType::normal;
    const int32_t value = vocab_.types[static_cast<size_t>(id)];
    const bool known = value >= 1 && value <= static_cast<int32_t>(TokenType::byte);
    return known ? static_cast<TokenType>(value) : TokenType::normal;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, bool parse_special,
                                       int32_t previous) const {
    if (text.size() > kMaxTextBytes) {
        throw Error(ErrorKind::argument, "[tokenizer] expected a text of at most " +
                                             std::to_string(kMaxTextBytes) + " bytes; found " +
                                             std::to_string(text.size()) + "; split it");
    }
    std::string repaired;
    if (!is_valid_utf8(text)) text = repaired = repair_utf8(text);

    std::vector<int32_t> ids;
    const auto allowed = [&](int32_t id) { return parse_special || !is_control(id); };
    size_t begin = strip_after_.count(previous) > 0 ? n_space_bytes(text) : 0;
    bool is_start = previous < 0;
    // The text since the last token found.
    const auto encode_until = [&](size_t end) {
        if (end > begin) encode_text(text.substr(begin, end - begin), is_start, ids);
        is_start = false;
    };
    for (size_t at = begin; at < text.size();) {
        const PieceTrie::Match match = special_.longest_match(text.substr(at), allowed);
        if (match.id < 0) {
            ++at;
            continue;
        }
        encode_until(at);
        ids.push_back(match.id);
        at += match.n_bytes;
        if (strip_after_.count(match.id) > 0) at += n_space_bytes(text.substr(at));
        begin = at;
    }
    encode_until(text.size());
    return ids;
}

std::string Tokenizer::decode(const int32_t* ids, size_t n, bool skip_special) const {
    std::string text;
    bool at_start = true;  // of a text that encode_text saw as one
    for (size_t i = 0; i < n; ++i) {
        check_id(ids[i]);
        if (is_control(ids[i])) {
            if (skip_special) continue;
            text += piece(ids[i]);
            at_start = type(ids[i]) == TokenType::control;
            continue;
        }
        const std::string bytes = text_bytes(ids[i]);
        const bool drop = at_start && drops_first_space() && bytes.substr(0, 1) == " ";
        text.append(bytes, drop ? 1 : 0, std::string::npos);
        at_start = false;
    }
    return text;
}

std::string Tokenizer::token_bytes(int32_t id) const {
    check_id(id);
    return is_control(id) ? piece(id) : text_bytes(id);
}

bool Tokenizer::is_control(int32_t id) const {
    check_id(id);
    const TokenType kind = type(id);
    return kind == TokenType::control || kind == TokenType::unknown || kind == TokenType::unused;
}

int32_t Tokenizer::find(std::string_view piece) const {
    const auto found = ids_.find(piece);
    return found == ids_.end() ? -1 : found->second;
}

void Tokenizer::check_id(int32_t id) const {
    if (id >= 0 && id < size()) return;
    throw Error(ErrorKind::argument, "[tokenizer] expected a token id from 0 to below " +
                                         std::to_string(size()) + "; found " + std::to_string(id) +
                                         "; use this model's tokens");
}

}  // namespace crispvl
