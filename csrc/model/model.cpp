#include "model/model.h"

#include <algorithm>

#include "base/error.h"
#include "gguf/schema.h"
#include "model/network.h"
#include "model/read_config.h"
#include "model/vocab.h"
#include "text/make_tokenizer.h"

namespace crispvl {
namespace {

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

// A head's keys are a row of whole blocks.
void check_kv_cache(const std::string& name, const DecoderConfig& c) {
    const std::optional<ggml_type> type = kv_type_named(name);
    if (!type || c.d_head % ggml_blck_size(*type) == 0) return;
    throw Error(ErrorKind::argument, "[model] expected heads of a multiple of " +
                                         std::to_string(ggml_blck_size(*type)) +
                                         " values for a KV cache of " + name + "; found " +
                                         std::to_string(c.d_head) + "; use auto or f16");
}

// A header made from only a configuration names no tokens; memory does not depend on them.
void add_smallest_vocabulary(ModelSource& source) {
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

}  // namespace

Model::Model(const LoadOptions& options)
    : options_(options),
      source_(options.bytes.data != nullptr
                  ? ModelSource::open(options.bytes, options.mmproj_bytes)
                  : ModelSource::open(options.path, options.mmproj, options.tokenizer,
                                      access_for(options))) {
    options_.bytes = options_.mmproj_bytes = {};  // the caller's
    options_.access.interrupt = nullptr;
    if (options.measure_only && !source_.has(schema::kTokens)) add_smallest_vocabulary(source_);
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

const Network& Model::network() const {
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
    const bool f32 = options_.exact || has_f32_weights(source_, schema::text_block(0));
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
    return network().vision.packed_bytes() + network().decoder.packed_bytes();
}

int64_t Model::tiles_per_graph() const {
    return network().tiles_per_graph();
}

std::vector<float> Model::encode(const uint8_t* tiles, int64_t n_tiles, Interrupt* interrupt,
                                 const TileProgress& progress, Trace* trace) const {
    const DistinctTiles distinct = distinct_tiles(tiles, n_tiles, trace);
    const int64_t d_tile = config().image.tokens_per_tile * config().projector.d_out;
    std::vector<float> rows(static_cast<size_t>(distinct.size() * d_tile));
    for_groups(distinct, progress, [&](const uint8_t* pixels, int64_t i, int64_t n) {
        const EncodedTiles group{rows.data() + i * d_tile, nullptr, nullptr};
        network().encode(pixels, n, group, interrupt, trace);
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
        const EncodedTiles group{found.large.data() + i * d_large, found.small.data() + i * d_small,
                                 found.scores.data() + i};
        network().encode(pixels, n, group, interrupt, trace);
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

}  // namespace crispvl
