#include "model/projector.h"

#include "gguf/schema.h"

namespace crispvl {

Projector::Projector(Weights& weights, const VisionConfig& vision, const ProjectorConfig& c)
    : grid_(vision.grid()),
      unshuffle_(c.unshuffle),
      norm_(Scope(weights, schema::kProjectorNorm), NormKind::layer_norm, c.d_in, c.norm_epsilon),
      mlp_(Scope(weights, schema::kProjectorUp), Scope(weights, schema::kProjectorOut), c.d_in,
           c.d_out, c.d_out) {}

// Each token gathers a square of unshuffle x unshuffle patches, rows of the square outermost.
ggml_tensor* Projector::unshuffle(Graph& g, ggml_tensor* x) const {
    const int64_t width = x->ne[0], n_tiles = x->ne[2], s = unshuffle_, side = grid_ / s;
    x = ggml_view_3d(g.ctx(), x, width, grid_ * grid_, n_tiles, x->nb[1], x->nb[2],
                     /*offset, past the class token=*/x->nb[1]);
    // Tiles are contiguous again, so rows of all tiles count through one dimension.
    x = ggml_reshape_4d(g.ctx(), ggml_cont(g.ctx(), x), width * s, side, s, side * n_tiles);
    x = ggml_cont(g.ctx(), ggml_permute(g.ctx(), x, 0, 2, 1, 3));  // [width*s, s, side, side*n]
    return ggml_reshape_3d(g.ctx(), x, width * s * s, side * side, n_tiles);
}

ggml_tensor* Projector::operator()(Graph& g, ggml_tensor* x) const {
    return g.tap(mlp_(g, norm_(g, unshuffle(g, x))), "vis_proj_output");
}

}  // namespace crispvl
