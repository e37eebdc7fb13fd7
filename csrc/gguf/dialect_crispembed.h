// The two halves of the CrispEmbed layout: the model (dialect_crispembed.cpp) and the vocabulary.
#pragma once

#include "gguf/source.h"

namespace crispvl::crispembed {

// Finds the family of a vocabulary that has pieces and little else, and the kinds of its tokens.
// Throws Error{model_file} with the remedy when nothing tells the family.
void complete_vocabulary(ModelSource& source);

}  // namespace crispvl::crispembed
