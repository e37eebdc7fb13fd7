// The configuration as a model file's keys have it.
#pragma once

#include "base/error.h"
#include "gguf/source.h"
#include "model/config.h"

namespace crispvl {

// Reads and checks every switch. Throws Error{model_file} that names the key.
ModelConfig read_config(const ModelSource& source);

// `step` is how far an image token advances the position: 1, 1/2 … 1/256. Throws Error{kind}.
void set_position_step(ModelConfig& config, double step, ErrorKind kind);

}  // namespace crispvl
