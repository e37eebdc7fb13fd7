// InternVL3.5-Flash's router, which finds the tiles that few tokens are enough for. Follows the
// published code as lmdeploy has it (internvl.py: CrossAttentionPooling, Gating).
#pragma once

#include <vector>

#include "model/config.h"
#include "nn/cross_attention.h"
#include "nn/mlp.h"
#include "nn/norm.h"

namespace crispvl {

class TileRouter {
public:
    TileRouter(Weights& weights, const VisionConfig& vision, const RouterConfig& config);

    // Encoder output [width, 1 + n_patches, n_tiles] -> [2, 1, n_tiles]: how likely few tokens are
    // enough, and that they are not.
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

    static constexpr size_t kMaxNodes = 192;

private:
    ggml_tensor* pool(Graph& g, ggml_tensor* patches) const;

    struct Residual {
        GeluMlp mlp;
        Norm norm;
    };
    ggml_tensor* query_;  // [width]
    CrossAttention first_, later_;
    Norm first_norm_, later_norm_;
    std::vector<Residual> residuals_;
    Norm norm_;
    Linear out_;
};

}  // namespace crispvl
