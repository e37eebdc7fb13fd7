// Encoder output -> image tokens of the decoder's width.
// Follows OpenGVLab's modeling_internvl_chat.py (pixel_shuffle with ps_version v2, mlp1).
#pragma once

#include "model/config.h"
#include "nn/mlp.h"
#include "nn/norm.h"

namespace crispvl {

class Projector {
public:
    Projector(Weights& weights, const VisionConfig& vision, const ProjectorConfig& config);

    // [width, 1 + n_patches, n_tiles] -> [d_out, tokens_per_tile, n_tiles]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

private:
    int64_t grid_, unshuffle_;
    Norm norm_;
    GeluMlp mlp_;
};

// InternVL3.5-Flash's second one: a token gathers the patches of unshuffle^2 tokens of the first.
class SmallProjector {
public:
    SmallProjector(Weights& weights, const VisionConfig& vision, const ProjectorConfig& config);

    // [width, 1 + n_patches, n_tiles] -> [d_out, tokens_per_small_tile, n_tiles]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

    static constexpr size_t kMaxNodes = 32;

private:
    int64_t grid_, unshuffle_;
    Norm norm_;
    Linear first_, second_, third_;
};

}  // namespace crispvl
