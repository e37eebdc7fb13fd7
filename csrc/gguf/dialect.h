// Layouts: how each names things, and what it leaves out. What a layout leaves out is deduced here,
// in one file per layout, and written as our own keys, so that nothing else knows where a model
// came from.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf/source.h"

namespace crispvl {

// One model file, or all parts of a split one in order; the first holds the keys.
using GgufParts = std::vector<std::shared_ptr<const GgufFile>>;

// Opens a file. A name like "m-00002-of-00003.gguf" opens all three parts, whichever was given.
// Throws Error{not_found, model_file}; a missing part is named.
GgufParts open_parts(const std::string& path, FileAccess access = {});

// What a model is read from. `mmproj` may be empty; `tokenizer` may be null.
struct DialectFiles {
    GgufParts main;
    GgufParts mmproj;
    std::shared_ptr<const GgufFile> tokenizer;  // its vocabulary stands in for the model's own
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
