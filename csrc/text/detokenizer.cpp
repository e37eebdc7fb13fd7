#include "text/detokenizer.h"

#include <string_view>

namespace crispvl {

// A tokenizer may treat the first token of a list apart (SentencePiece drops a space there), so
// each is decoded after the one before.
std::string Detokenizer::push(int32_t id) {
    const int32_t pair[] = {previous_, id};
    const bool is_first = previous_ < 0;
    const std::string bytes = tokenizer_.decode(pair + (is_first ? 1 : 0), is_first ? 1 : 2, false);
    const std::string text = stream_.push(std::string_view(bytes).substr(n_previous_bytes_));
    previous_ = id;
    n_previous_bytes_ = tokenizer_.decode(&id, 1, false).size();
    return text;
}

}  // namespace crispvl
