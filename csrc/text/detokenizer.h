// Token ids to text, one at a time, never splitting a character.
#pragma once

#include <cstdint>
#include <string>

#include "base/utf8.h"
#include "text/tokenizer.h"

namespace crispvl {

class Detokenizer {
public:
    explicit Detokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

    // Returns the text that this token completes, which may be empty.
    std::string push(int32_t id);

    // Returns what an unfinished last character leaves behind.
    std::string finish() { return stream_.finish(); }

private:
    const Tokenizer& tokenizer_;
    int32_t previous_ = -1;
    size_t n_previous_bytes_ = 0;
    Utf8Stream stream_;
};

}  // namespace crispvl
