#include "model/model.h"

#include <algorithm>

#include "base/error.h"
#include "gguf/schema.h"
#include "text/make_tokenizer.h"

namespace crispvl {
namespace {

// Tokens encoded per graph: enough rows to fill the matrix kernels, few enough that the
// activations (4 * width floats a token) stay near the caches. GPUs want more at once.
constexpr int64_t kCpuTokensPerGraph = 1100;
constexpr int64_t kGpuTokensPerGraph = 16400;

bool is_f32(const ModelSource& source, const std::string& block) {
    return source.tensors().find(block + ".attn_k.weight")->second.type == GGML_TYPE_F32;
}

// None for "auto". Throws Error{argument} for an unknown name.
std::optional<ggml_type> kv_type_named(const std::string& name) {
    if (name == "auto") return std::nullopt;
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
        if (name == ggml_type_name(type)) return type;
    }
    throw Error(ErrorKind::argument,
                "[model] expected a KV cache of auto, f32, f16 or q8_0; found '" + name +
                    "'; choose one of these");
}

// A head's keys stand in a row of whole blocks.
void check_kv_cache(const std::string& name, const DecoderConfig& c) {
    const std::optional<ggml_type> type = kv_type_named(name);
    if (!type || c.d_head % ggml_blck_size(*type) == 0) return;
    throw Error(ErrorKind::argument, "[model] expected heads of a multiple of " +
                                         std::to_string(ggml_blck_size(*type)) +
                                         " values for a KV cache of " + name + "; found " +
                                         std::to_string(c.d_head) + "; use auto or f16");
}

// A header made from only a configuration names no tokens; memory does not depend on them.
void stand_in_for_vocabulary(ModelSource& source) {
    source.deduce(schema::kTokenizerModel, std::string("llama"));
    source.deduce(schema::kTokens, std::vector<std::string>{"<unk>"});
    source.deduce(schema::kTokenTypes, std::vector<int64_t>{2});
    source.deduce(schema::kTokenScores, std::vector<double>{0.0});
    source.deduce(schema::kUnknownId, int64_t{0});
    for (const char* key : {schema::kImageStart, schema::kImageEnd, schema::kImageContext}) {
        source.deduce(key, int64_t{0});
    }
    source.deduce(schema::kChatStopIds, std::vector<int64_t>{});
}

// Where a header is enough, nothing is copied.
FileAccess access_for(const LoadOptions& options) {
    return options.vocab_only || options.measure_only ? FileAccess{} : options.access;
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

}  // namespace

struct Model::Network {
    Network(const ModelSource& source, const ModelConfig& c, const LoadOptions& options)
        : backends(device_names(options), options.n_threads),
          places(layer_places(options, backends, c.decoder.n_layers)),
          weights(source),
          vision(weights, c.vision),
          projector(weights, c.vision, c.projector),
          small_projector(optional_small_projector(weights, c)),
          router(optional_router(weights, c)),
          decoder(weights, c.decoder, places, backends.i_cpu()),
          executor(backends,
                   std::max(max_encoder_nodes(), decoder.max_nodes(Decoder::kMaxSequences)),
                   [&source] { source.require_unchanged(); }) {
        if (options.measure_only) {
            weights.finish_without_data(backends);
            executor.measure_only();
        } else {
            for (const auto& file : source.files()) file->require_data();
            source.require_unchanged();
            weights.finish(backends);
        }
        // Rounding weights to BF16 is below the error of 16-bit files, not of F32 ones.
        if (backends.on_cpu() && !options.exact && !is_f32(source, schema::text_block(0))) {
            decoder.use_cpu_kernels(backends.n_threads);
        }
        if (backends.on_cpu() && !options.exact && !is_f32(source, schema::vision_block(0))) {
            vision.pack(backends.n_threads);
            if (vision.packed_bytes() > 0) source.release("v.blk.");
        }
    }

    static std::optional<SmallProjector> optional_small_projector(Weights& weights,
                                                                  const ModelConfig& c) {
        if (!c.router) return std::nullopt;
        return SmallProjector(weights, c.vision, c.projector);
    }
    static std::optional<TileRouter> optional_router(Weights& weights, const ModelConfig& c) {
        if (!c.router) return std::nullopt;
        return TileRouter(weights, c.vision, *c.router);
    }
    size_t max_encoder_nodes() const {
        const size_t n_routing = router ? TileRouter::kMaxNodes + SmallProjector::kMaxNodes : 0;
        return vision.max_nodes() + n_routing;
    }

    Backends backends;
    std::vector<size_t> places;
    Weights weights;
    VisionEncoder vision;
    Projector projector;
    std::optional<SmallProjector> small_projector;  // with a router
    std::optional<TileRouter> router;
    Decoder decoder;
    mutable Executor executor;
};

Model::Model(const LoadOptions& options)
    : options_(options),
      source_(options.bytes.data != nullptr
                  ? ModelSource::open(options.bytes, options.mmproj_bytes)
                  : ModelSource::open(options.path, options.mmproj, options.tokenizer,
                                      access_for(options))) {
    options_.bytes = options_.mmproj_bytes = {};  // the caller's
    options_.access.interrupt = nullptr;
    if (options.measure_only && !source_.has(schema::kTokens)) stand_in_for_vocabulary(source_);
    tokenizer_ = make_tokenizer(read_vocab(source_));
    if (source_.has_vision()) config_ = read_config(source_);
    if (config_ && options.image_position_step != 0) {
        set_position_step(*config_, options.image_position_step, ErrorKind::argument);
    }
    if (options.vocab_only) return;
    if (!config_) {
        throw Error(ErrorKind::model_file,
                    "[model] expected an InternVL with its encoder; found that " +
                        source_.describe() +
                        " holds a text model only; give its projector too (mmproj=…, --mmproj …)");
    }
    check_kv_cache(options.kv_cache, config_->decoder);
    if (tokenizer_->size() > config_->decoder.vocab_size) {
        throw Error(ErrorKind::model_file,
                    "[config] expected at most " + std::to_string(config_->decoder.vocab_size) +
                        " tokens, one per embedding row; found that " + source_.describe() +
                        " has " + std::to_string(tokenizer_->size()) +
                        "; convert the checkpoint again");
    }
    network_ = std::make_shared<Network>(source_, *config_, options);
}

const Model::Network& Model::network() const {
    if (!network_) {
        throw Error(ErrorKind::argument,
                    "[model] expected a model with weights; found one loaded with "
                    "vocab_only; load it again without");
    }
    return *network_;
}

const ModelConfig& Model::config() const {
    if (!config_) {
        throw Error(ErrorKind::argument,
                    "[model] expected a model with its configuration; found that " +
                        source_.describe() +
                        " holds a vocabulary or a text "
                        "model only; give the complete model");
    }
    return *config_;
}
const Decoder& Model::decoder() const {
    return network().decoder;
}
Executor& Model::executor() const {
    return network().executor;
}
const Backends& Model::backends() const {
    return network().backends;
}
ggml_type Model::kv_type() const {
    if (const std::optional<ggml_type> named = kv_type_named(options_.kv_cache)) return *named;
    const bool f32 = options_.exact || is_f32(source_, schema::text_block(0));
    return f32 ? GGML_TYPE_F32 : GGML_TYPE_F16;
}

size_t Model::kv_bytes_per_token() const {
    const DecoderConfig& c = config().decoder;
    return 2 * static_cast<size_t>(c.n_layers) * ggml_row_size(kv_type(), c.n_kv_heads * c.d_head);
}

const std::vector<size_t>& Model::weight_bytes() const {
    return network().weights.n_bytes();
}
std::vector<ggml_backend_t> Model::layer_backends() const {
    std::vector<ggml_backend_t> layers;
    for (const size_t place : network().places) layers.push_back(backends().all[place].get());
    return layers;
}
std::vector<std::string> Model::kernels() const {
    const Network& net = network();
    std::vector<std::string> names;
    const auto uses = [&](Operand operand) {
        return net.vision.uses(operand) || net.decoder.uses(operand);
    };
    if (uses(Operand::bf16)) names.emplace_back(kernels::bf16_kernels_name());
    if (uses(Operand::int8)) names.emplace_back(kernels::int8_kernels_name());
    names.emplace_back("ggml");
    return names;
}
size_t Model::packed_bytes() const {
    return network().vision.packed_bytes();
}

int64_t Model::tiles_per_graph() const {
    const int64_t n_tokens = backends().on_cpu() ? kCpuTokensPerGraph : kGpuTokensPerGraph;
    return std::max<int64_t>(1, n_tokens / config().vision.n_positions());
}

std::vector<float> Model::encode(const uint8_t* tiles, int64_t n_tiles, Interrupt* interrupt,
                                 const TileProgress& progress, Trace* trace) const {
    const DistinctTiles distinct = distinct_tiles(tiles, n_tiles, trace);
    const int64_t d_tile = config().image.tokens_per_tile * config().projector.d_out;
    std::vector<float> rows(static_cast<size_t>(distinct.size() * d_tile));
    for_groups(distinct, progress, [&](const uint8_t* pixels, int64_t i, int64_t n) {
        const GroupOutputs group{rows.data() + i * d_tile, nullptr, nullptr};
        encode_group(pixels, n, group, interrupt, trace);
    });
    return distinct.for_all(std::move(rows));
}

TileVariants Model::encode_variants(const uint8_t* tiles, int64_t n_tiles, Interrupt* interrupt,
                                    const TileProgress& progress, Trace* trace) const {
    if (!config().router) {
        throw Error(ErrorKind::argument,
                    "[encode] expected a model with a router of tiles; found that " +
                        source_.describe() + " has none; call encode");
    }
    const DistinctTiles distinct = distinct_tiles(tiles, n_tiles, trace);
    const int64_t d_large = config().image.tokens_per_tile * config().projector.d_out;
    const int64_t d_small = config().image.tokens_per_small_tile * config().projector.d_out;
    TileVariants found;
    found.large.resize(static_cast<size_t>(distinct.size() * d_large));
    found.small.resize(static_cast<size_t>(distinct.size() * d_small));
    found.scores.resize(static_cast<size_t>(distinct.size()));
    for_groups(distinct, progress, [&](const uint8_t* pixels, int64_t i, int64_t n) {
        const GroupOutputs group{found.large.data() + i * d_large, found.small.data() + i * d_small,
                                 found.scores.data() + i};
        encode_group(pixels, n, group, interrupt, trace);
    });
    return {distinct.for_all(std::move(found.large)), distinct.for_all(std::move(found.small)),
            distinct.for_all(std::move(found.scores))};
}

DistinctTiles Model::distinct_tiles(const uint8_t* tiles, int64_t n_tiles,
                                    const Trace* trace) const {
    return {tiles, n_tiles, tile_bytes(), /*shares=*/trace == nullptr && !measures_only()};
}

int64_t Model::tile_bytes() const {
    return config().vision.tile_px * config().vision.tile_px * 3;
}

void Model::for_groups(const DistinctTiles& tiles, const TileProgress& progress,
                       const Group& group) const {
    const int64_t n_group = tiles_per_graph();
    for (int64_t i = 0; i < tiles.size(); i += n_group) {
        const int64_t n = std::min(n_group, tiles.size() - i);
        group(tiles.pixels() + i * tile_bytes(), i, n);
        if (progress) progress(tiles.n_known(i + n), tiles.n_tiles());
    }
}

void Model::encode_group(const uint8_t* tiles, int64_t n_tiles, const GroupOutputs& out,
                         Interrupt* interrupt, Trace* trace) const {
    const Network& net = network();
    const VisionConfig& c = config().vision;
    std::vector<float> patches;
    net.vision.cut_patches(tiles, n_tiles, patches);
    Graph g(net.max_encoder_nodes(), /*taps_enabled=*/trace != nullptr, is_exact());
    ggml_tensor* input = g.input(GGML_TYPE_F32, c.d_patch(), c.n_patches(), n_tiles);
    ggml_tensor* encoded = net.vision(g, input);
    ggml_tensor *tokens = net.projector(g, encoded), *few = nullptr, *scores = nullptr;
    g.output(tokens);
    if (out.scores != nullptr) {
        few = (*net.small_projector)(g, encoded);
        scores = (*net.router)(g, encoded);
        g.output(few);
        g.output(scores);
    }
    net.executor.run(
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

void read_taps(const Graph& graph, Trace& trace) {
    for (const auto& [name, tensor] : graph.taps()) {
        TracedArray& array = trace[name];
        if (array.shape.empty()) array.shape = {0, tensor->ne[1], tensor->ne[0]};
        array.shape[0] += tensor->ne[2];
        const size_t n_before = array.values.size();
        array.values.resize(n_before + static_cast<size_t>(ggml_nelements(tensor)));
        ggml_backend_tensor_get(tensor, array.values.data() + n_before, 0, ggml_nbytes(tensor));
    }
}

}  // namespace crispvl
