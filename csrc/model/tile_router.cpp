#include "model/tile_router.h"

#include <string>

#include "gguf/schema.h"

namespace crispvl {
namespace {

constexpr int kLaterLooks = 3;  // the second attention is asked three times
constexpr int kResiduals = 4;
constexpr int64_t kExpansion = 4;

Scope part(Weights& weights, const std::string& name) {
    return {weights, std::string(schema::kRouter) + "." + name};
}

}  // namespace

TileRouter::TileRouter(Weights& weights, const VisionConfig& vision, const RouterConfig& c)
    : query_(part(weights, "query").weight({vision.width})),
      first_(part(weights, "pool.0"), vision.width, c.n_heads),
      later_(part(weights, "pool.1"), vision.width, c.n_heads),
      first_norm_(part(weights, "pool_norm.0"), NormKind::layer_norm, vision.width, c.norm_epsilon),
      later_norm_(part(weights, "pool_norm.1"), NormKind::layer_norm, vision.width, c.norm_epsilon),
      norm_(part(weights, "norm"), NormKind::layer_norm, vision.width, c.norm_epsilon),
      out_(part(weights, "out"), vision.width, /*d_out=*/2, /*bias=*/true) {
    for (int i = 0; i < kResiduals; ++i) {
        const Scope scope = part(weights, "mlp." + std::to_string(i));
        residuals_.push_back(
            {GeluMlp(scope / "up", scope / "down", vision.width, kExpansion * vision.width,
                     vision.width),
             Norm(scope / "norm", NormKind::layer_norm, vision.width, c.norm_epsilon)});
    }
}

// One learnt query looks at a tile's patches four times.
ggml_tensor* TileRouter::pool(Graph& g, ggml_tensor* patches) const {
    ggml_tensor* x = ggml_repeat_4d(g.ctx(), query_, query_->ne[0], 1, patches->ne[2], 1);
    x = first_norm_(g, first_(g, x, first_.look_at(g, patches)));
    const CrossAttention::KeysAndValues seen = later_.look_at(g, patches);
    for (int i = 0; i < kLaterLooks; ++i) x = later_norm_(g, later_(g, x, seen));
    return x;
}

ggml_tensor* TileRouter::operator()(Graph& g, ggml_tensor* x) const {
    ggml_tensor* patches =
        ggml_cont(g.ctx(), ggml_view_3d(g.ctx(), x, x->ne[0], x->ne[1] - 1, x->ne[2], x->nb[1],
                                        x->nb[2], /*offset, past the class token=*/x->nb[1]));
    x = pool(g, patches);
    for (const Residual& r : residuals_) x = ggml_add(g.ctx(), x, r.norm(g, r.mlp(g, x)));
    return g.tap(ggml_soft_max(g.ctx(), out_(g, norm_(g, x))), "vis_router");
}

}  // namespace crispvl
