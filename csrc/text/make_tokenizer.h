// The kinds of tokenizer there are.
#pragma once

#include <memory>

#include "text/tokenizer.h"

namespace crispvl {

// Checks the vocabulary and builds the tokenizer that `data.model` and `data.pre` name.
std::unique_ptr<Tokenizer> make_tokenizer(VocabData data);

}  // namespace crispvl
