// Pre-tokenisers: they cut a text into the words that byte-level BPE never merges across.
#pragma once

#include <cstddef>
#include <string_view>

namespace crispvl {

// A pre-tokeniser, by the name that GGUF files give it in `tokenizer.ggml.pre`.
struct PreTokenizer {
    std::string_view name;
    bool nfc;          // the text is brought to normalisation form C first
    bool whole_words;  // a word that is a token is taken as it is, before any merge
    // The end of the word that begins at byte `begin` of `text`, which is valid UTF-8.
    size_t (*word_end)(std::string_view text, size_t begin);
};

// The pre-tokeniser of that name; throws Error{model_file} where there is none.
const PreTokenizer& find_pre_tokenizer(std::string_view name);

}  // namespace crispvl
