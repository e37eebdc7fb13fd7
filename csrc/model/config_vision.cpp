// What sees: encoder, projector, router.
#include "gguf/schema.h"
#include "model/config_parts.h"
#include "model/config_values.h"

namespace crispvl {
namespace {

using namespace schema;

std::array<float, 3> rgb(const ModelSource& source, const std::string& key) {
    const std::vector<double> values = source.reals(key);
    if (values.size() != 3)
        throw invalid_value(source, key, "three numbers", std::to_string(values.size()));
    return {static_cast<float>(values[0]), static_cast<float>(values[1]),
            static_cast<float>(values[2])};
}

float share(const ModelSource& source, const char* key) {
    const double value = source.real(key);
    if (!(value >= 0 && value <= 1)) {
        throw invalid_value(source, key, "from 0 to 1", std::to_string(value));
    }
    return static_cast<float>(value);
}

}  // namespace

VisionConfig read_vision(const ModelSource& source) {
    VisionConfig c{};
    c.n_layers = dimension(source, kVisionLayers, kMostLayers);
    c.width = dimension(source, kVisionWidth);
    c.n_heads = dimension(source, kVisionHeads);
    c.d_mlp = dimension(source, kVisionMlp);
    c.patch_px = dimension(source, kVisionPatch);
    c.tile_px = dimension(source, kVisionTile);
    c.norm =
        choice<NormKind>(source, kVisionNorm,
                         {{"layer_norm", NormKind::layer_norm}, {"rms_norm", NormKind::rms_norm}});
    c.norm_epsilon = positive(source, kVisionEpsilon);
    c.qk_norm = choice<VisionQkNorm>(source, kVisionQkNorm,
                                     {{"none", VisionQkNorm::none}, {"full", VisionQkNorm::full}});
    c.qkv_bias = source.boolean(kVisionQkvBias);
    choice<int>(source, kVisionActivation, {{"gelu_erf", 0}});
    c.mean = rgb(source, kVisionMean);
    c.std = rgb(source, kVisionStd);
    if (source.integer(kVisionFeatureLayer) != -1) {
        throw invalid_value(source, kVisionFeatureLayer, "-1 (the last layer)", "another layer");
    }
    if (c.tile_px > 4096 || c.tile_px % c.patch_px != 0) {
        throw invalid_value(source, kVisionTile, "a multiple of the patch size up to 4096 px",
                            std::to_string(c.tile_px));
    }
    if (c.width % c.n_heads != 0) {
        throw invalid_value(source, kVisionHeads, "a divisor of the width",
                            std::to_string(c.n_heads));
    }
    for (const float s : c.std) {
        if (!(s > 0)) throw invalid_value(source, kVisionStd, "positive", std::to_string(s));
    }
    return c;
}

ProjectorConfig read_projector(const ModelSource& source, const VisionConfig& vision,
                               int64_t d_out) {
    ProjectorConfig c{};
    c.unshuffle = dimension(source, kUnshuffle);
    c.norm_epsilon = positive(source, kProjectorEpsilon);
    choice<int>(source, kProjectorActivation, {{"gelu_erf", 0}});
    choice<int>(source, kUnshuffleVersion, {{"v2", 0}});
    if (vision.grid() % c.unshuffle != 0) {
        throw invalid_value(
            source, kUnshuffle,
            "a divisor of the " + std::to_string(vision.grid()) + " patches along a tile's edge",
            std::to_string(c.unshuffle));
    }
    c.d_in = vision.width * c.unshuffle * c.unshuffle;
    c.d_out = d_out;
    const int64_t declared = dimension(source, kProjectionDim);
    if (declared != d_out) {
        throw Error(ErrorKind::model_file,
                    "[config] expected a projector for a text model of width " +
                        std::to_string(d_out) + "; found that the projector in " +
                        source.describe() + " is made for width " + std::to_string(declared) +
                        "; give the mmproj that was published with this text file");
    }
    return c;
}

std::optional<RouterConfig> read_router(const ModelSource& source, const VisionConfig& vision,
                                        const ProjectorConfig& projector) {
    if (!source.has(kRouterRelative)) return std::nullopt;
    RouterConfig c{};
    c.n_heads = dimension(source, kRouterHeads);
    c.norm_epsilon = positive(source, kRouterEpsilon);
    c.relative_threshold = share(source, kRouterRelative);
    c.absolute_threshold = share(source, kRouterAbsolute);
    if (vision.width % c.n_heads != 0) {
        throw invalid_value(source, kRouterHeads, "a divisor of the width",
                            std::to_string(c.n_heads));
    }
    const int64_t n_squared = projector.unshuffle * projector.unshuffle;
    if (vision.grid() % n_squared != 0) {
        throw invalid_value(source, kUnshuffle,
                            "of a square that divides the " + std::to_string(vision.grid()) +
                                " patches along a tile's edge",
                            std::to_string(projector.unshuffle));
    }
    return c;
}

}  // namespace crispvl
