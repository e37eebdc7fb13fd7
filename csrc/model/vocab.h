// The tokenizer's tables as a model file has them.
#pragma once

#include "gguf/source.h"
#include "text/tokenizer.h"

namespace crispvl {

// `source` may be a file without weights. Throws Error{model_file}.
VocabData read_vocab(const ModelSource& source);

}  // namespace crispvl
