// The sub-networks of a model with their weights, on the backends they compute on.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/decoder.h"
#include "model/load_options.h"
#include "model/projector.h"
#include "model/tile_router.h"
#include "model/trace.h"
#include "model/vision_encoder.h"
#include "nn/weights.h"
#include "runtime/executor.h"

namespace crispvl {

// Where the tokens of a group of tiles go; `small` and `scores` may be null.
struct EncodedTiles {
    float *large, *small, *scores;
};

struct Network {
    // Throws Error{model_file, device, memory, argument, cancelled}.
    Network(const ModelSource& source, const ModelConfig& config, const LoadOptions& options);

    // Tiles that one graph encodes.
    int64_t tiles_per_graph() const;
    // uint8 RGB tiles [n_tiles, px, px, 3], in one graph. `trace` may be null.
    void encode(const uint8_t* tiles, int64_t n_tiles, const EncodedTiles& out,
                Interrupt* interrupt, Trace* trace) const;

    Backends backends;
    std::vector<size_t> places;  // per layer of the decoder, an index of backends.all
    Weights weights;
    VisionEncoder vision;
    Projector projector;
    std::optional<SmallProjector> small_projector;  // with a router
    std::optional<TileRouter> router;
    Decoder decoder;
    mutable Executor executor;

private:
    size_t max_encoder_nodes() const;

    VisionConfig vision_config_;
    bool is_exact_;
};

// Whether the weights of a block, as schema.h names it, are F32.
bool has_f32_weights(const ModelSource& source, const std::string& block);

}  // namespace crispvl
