#include "model/projector.h"

#include "gguf/schema.h"

namespace crispvl {

namespace {

// Each token gathers a square of n x n patches, rows of the square outermost: [width, 1 + grid^2,
// n_tiles] -> [width * n^2, (grid / n)^2, n_tiles].
ggml_tensor* unshuffled(Graph& g, ggml_tensor* x, int64_t grid, int64_t n) {
    const int64_t width = x->ne[0], n_tiles = x->ne[2], side = grid / n;
    x = ggml_view_3d(g.ctx(), x, width, grid * grid, n_tiles, x->nb[1], x->nb[2],
                     /*offset, past the class token=*/x->nb[1]);
    // Tiles are contiguous again, so rows of all tiles count through one dimension.
    x = ggml_reshape_4d(g.ctx(), ggml_cont(g.ctx(), x), width * n, side, n, side * n_tiles);
    x = ggml_cont(g.ctx(), ggml_permute(g.ctx(), x, 0, 2, 1, 3));  // [width*n, n, side, side*tiles]
    return ggml_reshape_3d(g.ctx(), x, width * n * n, side * side, n_tiles);
}

}  // namespace

Projector::Projector(Weights& weights, const VisionConfig& vision, const ProjectorConfig& c)
    : grid_(vision.grid()),
      unshuffle_(c.unshuffle),
      norm_(Scope(weights, schema::kProjectorNorm), NormKind::layer_norm, c.d_in, c.norm_epsilon),
      mlp_(Scope(weights, schema::kProjectorUp), Scope(weights, schema::kProjectorOut), c.d_in,
           c.d_out, c.d_out) {}

ggml_tensor* Projector::operator()(Graph& g, ggml_tensor* x) const {
    return g.tap(mlp_(g, norm_(g, unshuffled(g, x, grid_, unshuffle_))), "vis_proj_output");
}

SmallProjector::SmallProjector(Weights& weights, const VisionConfig& vision,
                               const ProjectorConfig& c)
    : grid_(vision.grid()),
      unshuffle_(c.unshuffle * c.unshuffle),
      norm_(Scope(weights, schema::kSmallProjector) / "0", NormKind::layer_norm,
            vision.width * unshuffle_ * unshuffle_, c.norm_epsilon),
      first_(Scope(weights, schema::kSmallProjector) / "1", vision.width * unshuffle_ * unshuffle_,
             2 * c.d_out, /*bias=*/true),
      second_(Scope(weights, schema::kSmallProjector) / "4", 2 * c.d_out, 2 * c.d_out,
              /*bias=*/true),
      third_(Scope(weights, schema::kSmallProjector) / "7", 2 * c.d_out, c.d_out, /*bias=*/true) {}

ggml_tensor* SmallProjector::operator()(Graph& g, ggml_tensor* x) const {
    x = norm_(g, unshuffled(g, x, grid_, unshuffle_));
    x = ggml_gelu_erf(g.ctx(), first_(g, x));
    x = ggml_gelu_erf(g.ctx(), second_(g, x));
    return g.tap(third_(g, x), "vis_small_output");
}

}  // namespace crispvl
