// The files of a model that was split by size.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf/gguf_file.h"

namespace crispvl {

// One model file, or all parts of a split one in order; the first holds the keys.
using GgufParts = std::vector<std::shared_ptr<const GgufFile>>;

// Opens a file. A name like "m-00002-of-00003.gguf" opens all three parts, whichever was given.
// Throws Error{not_found, model_file}; a missing part is named.
GgufParts open_parts(const std::string& path, FileAccess access = {});

}  // namespace crispvl
