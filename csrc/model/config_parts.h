// The parts of a ModelConfig, each read and checked by itself; read_config() puts them together.
#pragma once

#include <optional>

#include "gguf/source.h"
#include "model/config.h"

namespace crispvl {

DecoderConfig read_decoder(const ModelSource& source);
VisionConfig read_vision(const ModelSource& source);
// `d_out`: the decoder's width.
ProjectorConfig read_projector(const ModelSource& source, const VisionConfig& vision,
                               int64_t d_out);
// None without the keys of one.
std::optional<RouterConfig> read_router(const ModelSource& source, const VisionConfig& vision,
                                        const ProjectorConfig& projector);

}  // namespace crispvl
