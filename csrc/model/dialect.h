// Foreign layouts: how each names things, and what it leaves out. One row per layout; what a row
// deduces it writes as our own keys, so that nothing else knows where a model came from.
#pragma once

#include <memory>

#include "model/source.h"

namespace crispvl {

// Fills `source` from the text (or single) file and the mmproj (null for none).
// Throws Error{model_file} when the files do not make one model.
void read_dialect(ModelSource& source, std::shared_ptr<const GgufFile> main,
                  std::shared_ptr<const GgufFile> mmproj);

}  // namespace crispvl
