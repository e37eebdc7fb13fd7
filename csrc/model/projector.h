// Encoder output -> image tokens of the decoder's width.
// Follows OpenGVLab's modeling_internvl_chat.py (pixel_shuffle with ps_version v2, mlp1).
#pragma once

#include "nn/mlp.h"
#include "nn/norm.h"

namespace crispvl {

class Projector {
public:
    Projector(Weights& weights, const VisionConfig& vision, const ProjectorConfig& config);

    // [width, 1 + n_patches, n_tiles] -> [d_out, tokens_per_tile, n_tiles]
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

private:
    ggml_tensor* unshuffle(Graph& g, ggml_tensor* x) const;

    int64_t grid_, unshuffle_;
    Norm norm_;
    GeluMlp mlp_;
};

}  // namespace crispvl
