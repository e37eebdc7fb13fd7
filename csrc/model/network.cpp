#include "model/network.h"

#include <algorithm>

#include "base/error.h"
#include "gguf/schema.h"

namespace crispvl {
namespace {

// Tokens encoded per graph: enough rows to fill the matrix kernels, few enough that the
// activations (4 * width floats a token) stay near the caches. GPUs want more at once.
constexpr int64_t kCpuTokensPerGraph = 1100;
constexpr int64_t kGpuTokensPerGraph = 16400;

// Weights that the caches of most CPUs hold: several graphs read them at once as fast as one, and
// their products are so small that threads on one graph wait for each other a third of the time.
// A decoder's step does not wait for memory then, but for what is done with it.
constexpr size_t kMostCachedBytes = size_t{32} << 20;

// Each has buffers of its own, and no more answers than these are under way at once.
constexpr int kMostLanes = 16;

bool is_cached(const ModelSource& source) {
    size_t n_bytes = 0;
    for (const auto& [name, tensor] : source.tensors()) n_bytes += tensor.n_bytes;
    return n_bytes <= kMostCachedBytes;
}

// Graphs that may be computed at once, with a thread each.
int n_lanes(const ModelSource& source, const Backends& backends, const LoadOptions& options) {
    const bool has_lanes = backends.on_cpu() && is_cached(source) && !options.measure_only;
    return has_lanes ? std::min(kMostLanes, backends.n_threads) : 1;
}

std::vector<std::string> device_names(const LoadOptions& options) {
    if (options.layers.empty()) return {options.device};
    std::vector<std::string> names;
    for (const LayerShare& share : options.layers) names.push_back(share.device);
    return names;
}

// Per layer, an index of Backends::all.
std::vector<size_t> layer_places(const LoadOptions& options, const Backends& backends,
                                 int64_t n_layers) {
    std::vector<size_t> places;
    if (options.layers.empty()) places.assign(static_cast<size_t>(n_layers), 0);
    for (size_t i = 0; i < options.layers.size(); ++i) {
        const int64_t n = std::clamp<int64_t>(options.layers[i].n_layers, 0, n_layers + 1);
        places.insert(places.end(), static_cast<size_t>(n), backends.places[i]);
    }
    if (places.size() != static_cast<size_t>(n_layers)) {
        throw Error(ErrorKind::argument, "[device] expected shares of " + std::to_string(n_layers) +
                                             " layers in all; found " +
                                             std::to_string(places.size()) +
                                             "; share out every layer once");
    }
    return places;
}

std::optional<SmallProjector> optional_small_projector(Weights& weights, const ModelConfig& c) {
    if (!c.router) return std::nullopt;
    return SmallProjector(weights, c.vision, c.projector);
}

std::optional<TileRouter> optional_router(Weights& weights, const ModelConfig& c) {
    if (!c.router) return std::nullopt;
    return TileRouter(weights, c.vision, *c.router);
}

}  // namespace

bool has_f32_weights(const ModelSource& source, const std::string& block) {
    return source.tensors().find(block + ".attn_k.weight")->second.type == GGML_TYPE_F32;
}

Network::Network(const ModelSource& source, const ModelConfig& c, const LoadOptions& options)
    : backends(device_names(options), options.n_threads),
      places(layer_places(options, backends, c.decoder.n_layers)),
      weights(source),
      vision(weights, c.vision),
      projector(weights, c.vision, c.projector),
      small_projector(optional_small_projector(weights, c)),
      router(optional_router(weights, c)),
      decoder(weights, c.decoder, places, backends.i_cpu()),
      executor(backends, std::max(max_encoder_nodes(), decoder.max_nodes(Decoder::kMaxSequences)),
               n_lanes(source, backends, options), [&source] { source.require_unchanged(); }),
      vision_config_(c.vision),
      is_exact_(options.exact) {
    if (options.measure_only) {
        weights.finish_without_data(backends);
        executor.measure_only();
    } else {
        for (const auto& file : source.files()) file->require_data();
        source.require_unchanged();
        weights.finish(backends);
    }
    // Rounding weights to BF16 is below the error of 16-bit files, not of F32 ones.
    if (backends.on_cpu() && !options.exact && !has_f32_weights(source, schema::text_block(0))) {
        decoder.use_cpu_kernels(backends.n_threads, is_cached(source));
        if (decoder.packed_bytes() > 0) source.release("blk.");
    }
    if (backends.on_cpu() && !options.exact && !has_f32_weights(source, schema::vision_block(0))) {
        vision.pack(backends.n_threads);
        if (vision.packed_bytes() > 0) source.release("v.blk.");
    }
}

size_t Network::max_encoder_nodes() const {
    const size_t n_routing = router ? TileRouter::kMaxNodes + SmallProjector::kMaxNodes : 0;
    return vision.max_nodes() + n_routing;
}

int64_t Network::tiles_per_graph() const {
    const int64_t n_tokens = backends.on_cpu() ? kCpuTokensPerGraph : kGpuTokensPerGraph;
    return std::max<int64_t>(1, n_tokens / vision_config_.n_positions());
}

void Network::encode(const uint8_t* tiles, int64_t n_tiles, const EncodedTiles& out,
                     Interrupt* interrupt, Trace* trace) const {
    std::vector<float> patches;
    vision.cut_patches(tiles, n_tiles, patches);
    Graph g(max_encoder_nodes(), /*taps_enabled=*/trace != nullptr, is_exact_);
    ggml_tensor* input =
        g.input(GGML_TYPE_F32, vision_config_.d_patch(), vision_config_.n_patches(), n_tiles);
    ggml_tensor* encoded = vision(g, input);
    ggml_tensor *tokens = projector(g, encoded), *few = nullptr, *scores = nullptr;
    g.output(tokens);
    if (out.scores != nullptr) {
        few = (*small_projector)(g, encoded);
        scores = (*router)(g, encoded);
        g.output(few);
        g.output(scores);
    }
    executor.run(
        g, [&] { ggml_backend_tensor_set(input, patches.data(), 0, ggml_nbytes(input)); },
        [&] {
            ggml_backend_tensor_get(tokens, out.large, 0, ggml_nbytes(tokens));
            if (scores != nullptr) {
                ggml_backend_tensor_get(few, out.small, 0, ggml_nbytes(few));
                for (int64_t i = 0; i < n_tiles; ++i) {
                    ggml_backend_tensor_get(scores, out.scores + i,
                                            static_cast<size_t>(i) * scores->nb[2], sizeof(float));
                }
            }
            if (trace != nullptr) read_taps(g, *trace);
        },
        interrupt);
}

}  // namespace crispvl
