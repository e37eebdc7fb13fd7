// Layouts: how each names things, and what it leaves out. What a layout leaves out is deduced here,
// in one file per layout, and written as our own keys, so that nothing else knows where a model
// came from.
#pragma once

#include <memory>
#include <string>

#include "gguf/parts.h"
#include "gguf/source.h"

namespace crispvl {

// What a model is read from. `mmproj` may be empty; `tokenizer` may be null.
struct DialectFiles {
    GgufParts main;
    GgufParts mmproj;
    std::shared_ptr<const GgufFile> tokenizer;  // its vocabulary replaces the model's own
};

// Finds the layout and fills `source`. Throws Error{model_file} when the files do not make one
// model.
void read_dialect(ModelSource& source, const DialectFiles& files);

// The name we give a tensor of the file, by its layout; fused q, k and v stay one `attn_qkv`.
std::string canonical_name(const GgufFile& main, const std::string& theirs);

// The rows of the table of layouts; read_dialect() chooses.
bool is_crispembed(const GgufFile& main);
std::string crispembed_canonical_name(const std::string& theirs);
void read_crispembed(ModelSource& source, const DialectFiles& files);
void read_llamacpp(ModelSource& source, const DialectFiles& files);

}  // namespace crispvl
