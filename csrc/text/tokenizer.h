// Text to token ids and back, whatever the kind of vocabulary (make_tokenizer.h). No ggml here: the
// vocabulary comes in as plain data.
//
//     std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(std::move(vocab));
//     std::vector<int32_t> ids = tokenizer->encode("<img>Read the text.", /*parse_special=*/true);
//     std::string text = tokenizer->decode(ids.data(), ids.size(), /*skip_special=*/true);
//
// A tokenizer is immutable: one serves any number of threads. Ids index the vocabulary. Errors are
// crispvl::Error with kind `model_file` for a vocabulary that cannot be used and `argument` for a
// caller's slip.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "text/piece_trie.h"

namespace crispvl {

// Values of `tokenizer.ggml.token_type`; any other value counts as normal.
enum class TokenType : int32_t {
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6,
};

// Throws the Error for a vocabulary that cannot be used; says what was expected and found.
[[noreturn]] void refuse_vocabulary(const std::string& expected_and_found);

// A vocabulary as a GGUF file's `tokenizer.ggml.*` keys hold it.
struct VocabData {
    std::string model;                // "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE)
    std::string pre;                  // pre-tokeniser of "gpt2", by llama.cpp's name
    std::vector<std::string> tokens;  // id -> piece: byte-level alphabet, or U+2581 for a space
    std::vector<float> scores;        // "llama": the highest merges first; empty: by id
    std::vector<int32_t> types;       // TokenType by id; empty: all normal
    std::vector<std::string> merges;  // "gpt2": "left right" by rank; empty: rank is the joined id
    bool add_space_prefix = false;    // "llama": a space before each text between found tokens
    bool prefix_at_start = false;     // that space only where a text begins
    bool add_bos = false;             // what a chat template should do; encode adds no token
    int32_t bos_id = -1, eos_id = -1, unk_id = -1;  // -1: none
    std::vector<int32_t> strip_after;  // tokens found by their text that take spaces after it along
};

class Tokenizer {
public:
    virtual ~Tokenizer() = default;
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    // The ids of `text`; invalid UTF-8 counts as U+FFFD. With `parse_special` the text of a
    // control token becomes that token, without it stays plain text. A user-defined token is
    // found either way: it is ordinary text with an id of its own, as in `tokenizers`, where
    // `encode_special_tokens` keeps special tokens from being found but not the other added ones.
    // `previous` is the token that the text comes after, for a prompt that is encoded in parts.
    std::vector<int32_t> encode(std::string_view text, bool parse_special,
                                int32_t previous = -1) const;

    // The bytes of a text of `n` tokens; a token may end inside a UTF-8 character. With
    // `skip_special`, tokens that are no text are left out, else they are written as they are.
    std::string decode(const int32_t* ids, size_t n, bool skip_special) const;

    // The bytes of one token inside a text.
    std::string token_bytes(int32_t id) const;

    // Whether the token is no text: control, unknown, or an unused row of the vocabulary.
    bool is_control(int32_t id) const;

    // The id of a piece as the vocabulary spells it, or -1.
    int32_t find(std::string_view piece) const;

    int32_t size() const { return static_cast<int32_t>(vocab_.tokens.size()); }

    const VocabData& vocab() const { return vocab_; }

protected:
    explicit Tokenizer(VocabData data);

    const std::string& piece(int32_t id) const { return vocab_.tokens[static_cast<size_t>(id)]; }
    TokenType type(int32_t id) const;

    // Appends the ids of valid UTF-8 that holds no token found by its text; `is_start` where no
    // token comes before it.
    virtual void encode_text(std::string_view text, bool is_start,
                             std::vector<int32_t>& ids) const = 0;

    // The bytes of a token that is text.
    virtual std::string text_bytes(int32_t id) const = 0;

    // Whether decoding takes one space off the start of a text, because encoding put it there.
    virtual bool drops_first_space() const { return false; }

    // Makes `encode` look for this token's text before anything else is done with the text.
    void find_in_text(int32_t id) { special_.add(piece(id), id); }

private:
    static void check_length(const char* key, size_t found, size_t n_tokens);
    static void check_special(const char* key, int32_t id, size_t n_tokens);
    void check_id(int32_t id) const;

    VocabData vocab_;
    std::unordered_map<std::string_view, int32_t> ids_;  // views of vocab_.tokens
    PieceTrie special_;
    std::unordered_set<int32_t> strip_after_;
};

}  // namespace crispvl
