// What foreign layouts have in common: facts found out from tensors, tokens and keys.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gguf/source.h"

namespace crispvl::dialect {

// general.architecture. Throws Error{model_file} when it is absent.
std::string arch_of(const GgufFile& file);
// A text key of one file; "" when it is absent or of another type.
std::string text_of(const GgufFile& file, const char* key);
// For messages: general.name, or the path.
std::string name_of(const GgufFile& file);
bool is_projector(const GgufFile& file);

bool has_tensor(const ModelSource& source, const std::string& name);
// A size in a foreign key: between 1 and 2^24.
int64_t count(const ModelSource& source, const std::string& key);
void deduce_if_absent(ModelSource& source, const std::string& key, GgufValue value);

// Row blocks of a fused projection become tensors of their own: rows are contiguous in every type.
// `parts` are (name, rows) in order.
void add_row_blocks(ModelSource& source, const GgufTensor& fused,
                    const std::vector<std::pair<std::string, int64_t>>& parts);

// Biases, qk-norm and tied head, by the tensors that are there.
void deduce_decoder_switches(ModelSource& source);
// Norm, qk-norm and biases by the tensors; what no layout stores as every InternVL has it.
void deduce_vision_switches(ModelSource& source);
// Ids of the image tokens by their text, the only stable name a token has.
void deduce_image_tokens(ModelSource& source);
// Conversation format and the tokens that end an answer.
void deduce_chat(ModelSource& source);
// Throws Error{model_file} with the remedy when there is no vocabulary.
void require_vocabulary(const ModelSource& source);

}  // namespace crispvl::dialect
