#include "model/config.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "base/error.h"
#include "gguf/schema.h"
#include "image/tiling.h"

namespace crispvl {
namespace {

using namespace schema;

Error invalid(const ModelSource& source, const std::string& key, const std::string& expected,
              const std::string& found) {
    return Error(ErrorKind::model_file,
                 "[config] expected '" + key + "' to be " + expected + "; found that " +
                     source.describe() + " has " + found +
                     "; convert the checkpoint again or use a newer crispvl");
}

bool optional_flag(const ModelSource& source, const char* key, bool otherwise = false) {
    return source.has(key) ? source.boolean(key) : otherwise;
}

// Widths and counts: products of four of them fit 64 bits.
constexpr int64_t kLargest = int64_t{1} << 24;
// Ten times what any model has; bounds the memory for graphs, which the file's size does not.
constexpr int64_t kMostLayers = 1024;
// Four times the largest vocabulary; bounds the memory for tokens that the file does not name.
constexpr int64_t kMostRows = int64_t{1} << 20;
// Four times what any model has; a token's experts are nodes of the graph, in every layer.
constexpr int64_t kMostExperts = 2048;
constexpr int64_t kMostExpertsUsed = 32;

int64_t dimension(const ModelSource& source, const std::string& key, int64_t largest = kLargest) {
    const int64_t value = source.integer(key);
    if (value < 1 || value > largest) {
        throw invalid(source, key, "between 1 and " + std::to_string(largest),
                      std::to_string(value));
    }
    return value;
}

float positive(const ModelSource& source, const std::string& key) {
    const double value = source.real(key);
    if (!(value > 0) || value > 1e12) {
        throw invalid(source, key, "a positive number", std::to_string(value));
    }
    return static_cast<float>(value);
}

template <typename T>
T choice(const ModelSource& source, const std::string& key,
         std::initializer_list<std::pair<const char*, T>> values) {
    const std::string found = source.text(key);
    std::string expected;
    for (const auto& [name, value] : values) {
        if (found == name) return value;
        expected += (expected.empty() ? "" : " or ") + std::string(name);
    }
    throw invalid(source, key, expected, "'" + found + "'");
}

std::array<float, 3> rgb(const ModelSource& source, const std::string& key) {
    const std::vector<double> values = source.reals(key);
    if (values.size() != 3)
        throw invalid(source, key, "three numbers", std::to_string(values.size()));
    return {static_cast<float>(values[0]), static_cast<float>(values[1]),
            static_cast<float>(values[2])};
}

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
        throw invalid(source, kVisionFeatureLayer, "-1 (the last layer)", "another layer");
    }
    if (c.tile_px > 4096 || c.tile_px % c.patch_px != 0) {
        throw invalid(source, kVisionTile, "a multiple of the patch size up to 4096 px",
                      std::to_string(c.tile_px));
    }
    if (c.width % c.n_heads != 0) {
        throw invalid(source, kVisionHeads, "a divisor of the width", std::to_string(c.n_heads));
    }
    for (const float s : c.std) {
        if (!(s > 0)) throw invalid(source, kVisionStd, "positive", std::to_string(s));
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
        throw invalid(
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

RopeConfig read_rope(const ModelSource& source, const std::string& arch) {
    RopeConfig c{};
    c.layout =
        choice<RopeLayout>(source, kRopeLayout,
                           {{"half", RopeLayout::half}, {"interleaved", RopeLayout::interleaved}});
    c.theta = positive(source, arch + "." + kTextRopeTheta);
    c.scaling = choice<RopeScaling>(source, kRopeScaling,
                                    {{"none", RopeScaling::none},
                                     {"linear", RopeScaling::linear},
                                     {"dynamic", RopeScaling::dynamic},
                                     {"yarn", RopeScaling::yarn},
                                     {"factors", RopeScaling::factors},
                                     {"longrope", RopeScaling::longrope}});
    const auto is = [&](std::initializer_list<RopeScaling> kinds) {
        return std::find(kinds.begin(), kinds.end(), c.scaling) != kinds.end();
    };
    if (is({RopeScaling::linear, RopeScaling::dynamic, RopeScaling::yarn})) {
        c.factor = positive(source, kRopeFactor);
        if (c.factor < 1) {
            throw invalid(source, kRopeFactor, "at least 1", std::to_string(c.factor));
        }
    }
    if (is({RopeScaling::dynamic, RopeScaling::yarn, RopeScaling::longrope})) {
        c.original_context = dimension(source, kRopeOriginal);
    }
    if (c.scaling == RopeScaling::yarn) {
        c.beta_fast = positive(source, kRopeBetaFast);
        c.beta_slow = positive(source, kRopeBetaSlow);
        c.truncate = source.boolean(kRopeTruncate);
    }
    if (is({RopeScaling::yarn, RopeScaling::longrope})) {
        c.attn_factor = positive(source, kRopeAttnFactor);
    }
    return c;
}

GateConfig read_gate(const ModelSource& source) {
    GateConfig c;
    c.kind = choice<GateKind>(source, kMlpGate,
                              {{"silu", GateKind::silu}, {"clamped", GateKind::clamped}});
    if (c.kind == GateKind::clamped) {
        c.alpha = positive(source, kMlpAlpha);
        c.limit = positive(source, kMlpLimit);
    }
    return c;
}

std::optional<ExpertsConfig> read_experts(const ModelSource& source, const std::string& arch) {
    const std::string n_key = arch + "." + kTextExperts, used_key = arch + "." + kTextExpertsUsed;
    if (!source.has(n_key)) return std::nullopt;
    ExpertsConfig c{};
    c.n = dimension(source, n_key, kMostExperts);
    c.n_used = dimension(source, used_key, kMostExpertsUsed);
    if (c.n_used > c.n) {
        throw invalid(source, used_key, "at most " + std::to_string(c.n), std::to_string(c.n_used));
    }
    c.d_mlp = dimension(source, arch + "." + kTextExpertMlp);
    c.router_bias = source.boolean(kRouterBias);
    c.normalised = source.boolean(kExpertsNormalised);
    c.joined = optional_flag(source, kExpertsJoined);
    return c;
}

// Which layers slide. Throws where their number is not that of the layers.
std::vector<bool> read_sliding_layers(const ModelSource& source, int64_t n_layers) {
    std::vector<bool> layers = source.booleans(kDecoderSlidingLayers);
    if (static_cast<int64_t>(layers.size()) != n_layers) {
        throw invalid(source, kDecoderSlidingLayers,
                      "one value for each of " + std::to_string(n_layers) + " layers",
                      std::to_string(layers.size()) + " values");
    }
    return layers;
}

DecoderConfig read_decoder(const ModelSource& source) {
    DecoderConfig c{};
    c.arch = source.text(kArchitecture);
    const auto key = [&](const char* name) { return c.arch + "." + name; };
    c.n_layers = dimension(source, key(kTextLayers), kMostLayers);
    c.width = dimension(source, key(kTextWidth));
    c.n_heads = dimension(source, key(kTextHeads));
    c.n_kv_heads = dimension(source, key(kTextKvHeads));
    c.d_head = dimension(source, key(kTextHeadDim));
    c.d_mlp = dimension(source, key(kTextMlp));
    c.context_length = dimension(source, key(kTextContext));
    c.norm_epsilon = positive(source, key(kTextEpsilon));
    c.qkv_bias = source.boolean(kDecoderQkvBias);
    c.attn_out_bias = source.boolean(kDecoderOutBias);
    c.mlp_bias = source.boolean(kDecoderMlpBias);
    c.qk_norm = choice<DecoderQkNorm>(
        source, kDecoderQkNorm,
        {{"none", DecoderQkNorm::none}, {"per_head", DecoderQkNorm::per_head}});
    c.sinks = source.boolean(kDecoderSinks);
    c.sliding_layers = read_sliding_layers(source, c.n_layers);
    if (std::count(c.sliding_layers.begin(), c.sliding_layers.end(), true) > 0) {
        c.window = dimension(source, key(kTextWindow));
    }
    c.gate = read_gate(source);
    c.experts = read_experts(source, c.arch);
    c.tied_head = source.boolean(kDecoderTiedHead);
    c.rope = read_rope(source, c.arch);
    const auto embedding = source.tensors().find(std::string(kTokenEmbedding) + ".weight");
    if (embedding == source.tensors().end()) {
        throw Error(ErrorKind::model_file,
                    "[weights] expected a text model with 'token_embd.weight'; found that " +
                        source.describe() + " has none; give a complete model");
    }
    c.vocab_size = embedding->second.ne[1];
    if (c.n_heads % c.n_kv_heads != 0) {
        throw invalid(source, key(kTextKvHeads), "a divisor of the heads",
                      std::to_string(c.n_kv_heads));
    }
    if (c.d_head % 2 != 0 || c.d_head > 1024) {
        throw invalid(source, key(kTextHeadDim), "even and at most 1024", std::to_string(c.d_head));
    }
    return c;
}

int32_t token_id(const ModelSource& source, const std::string& key, int64_t vocab_size) {
    const int64_t id = source.integer(key);
    if (id < 0 || id >= vocab_size) {
        throw invalid(source, key, "an id of the vocabulary", std::to_string(id));
    }
    return static_cast<int32_t>(id);
}

ImageConfig read_image(const ModelSource& source, const VisionConfig& vision,
                       const ProjectorConfig& projector, int64_t vocab_size) {
    ImageConfig c{};
    c.min_tiles = dimension(source, kMinTiles, kMostTiles);
    c.max_tiles = dimension(source, kMaxTiles, kMostTiles);
    c.thumbnail = source.boolean(kThumbnail);
    c.multi_scale = source.boolean(kMultiScale);
    c.start_id = token_id(source, kImageStart, vocab_size);
    c.end_id = token_id(source, kImageEnd, vocab_size);
    c.context_id = token_id(source, kImageContext, vocab_size);
    const int64_t n_gathered = projector.unshuffle * projector.unshuffle;
    c.tokens_per_tile = vision.n_patches() / n_gathered;
    c.tokens_per_small_tile = c.tokens_per_tile / n_gathered;
    return c;
}

float share(const ModelSource& source, const char* key) {
    const double value = source.real(key);
    if (!(value >= 0 && value <= 1)) {
        throw invalid(source, key, "from 0 to 1", std::to_string(value));
    }
    return static_cast<float>(value);
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
        throw invalid(source, kRouterHeads, "a divisor of the width", std::to_string(c.n_heads));
    }
    const int64_t n_squared = projector.unshuffle * projector.unshuffle;
    if (vision.grid() % n_squared != 0) {
        throw invalid(source, kUnshuffle,
                      "of a square that divides the " + std::to_string(vision.grid()) +
                          " patches along a tile's edge",
                      std::to_string(projector.unshuffle));
    }
    return c;
}

std::string optional_text(const ModelSource& source, const char* key) {
    return source.has(key) ? source.text(key) : std::string();
}

ChatConfig read_chat(const ModelSource& source, int64_t vocab_size) {
    ChatConfig c;
    c.template_name = optional_text(source, kChatTemplate);
    if (source.has(kChatSystem)) c.system_message = source.text(kChatSystem);
    c.jinja = optional_text(source, kJinjaTemplate);
    c.prompt_text = optional_text(source, kPromptText);
    c.prompt_markdown = optional_text(source, kPromptMarkdown);
    for (const int64_t id : source.integers(kChatStopIds)) {
        if (id < 0 || id >= vocab_size) {
            throw invalid(source, kChatStopIds, "ids of the vocabulary", std::to_string(id));
        }
        c.stop_ids.push_back(static_cast<int32_t>(id));
    }
    return c;
}

int32_t optional_id(const ModelSource& source, const char* key) {
    return source.has(key) ? static_cast<int32_t>(source.integer(key)) : -1;
}

// The core's SentencePiece normalises nothing, as InternLM's models ask; others must not pass.
void check_normaliser(const ModelSource& source) {
    if (optional_flag(source, kRemoveExtraWhitespaces)) {
        throw invalid(source, kRemoveExtraWhitespaces, "false", "true");
    }
    if (source.has(kCharsmap) && !source.integers(kCharsmap).empty()) {
        throw invalid(source, kCharsmap, "empty", "a normaliser's table");
    }
}

// Rows of the embedding without a token get one that no text produces, so that every id the model
// can choose has a piece.
void pad(VocabData& vocab, int64_t n_rows) {
    const size_t n = vocab.tokens.size(), n_wanted = static_cast<size_t>(n_rows);
    if (n >= n_wanted) return;
    if (n_rows > kMostRows) {
        throw Error(ErrorKind::model_file,
                    "[config] expected an embedding of at most " + std::to_string(kMostRows) +
                        " rows for " + std::to_string(n) + " tokens; found that '" +
                        kTokenEmbedding + ".weight' has " + std::to_string(n_rows) +
                        "; download the file again");
    }
    vocab.types.resize(n, static_cast<int32_t>(TokenType::normal));
    vocab.types.resize(n_wanted, static_cast<int32_t>(TokenType::unused));
    if (!vocab.scores.empty()) vocab.scores.resize(n_wanted, 0.0f);
    for (size_t i = n; i < n_wanted; ++i) vocab.tokens.push_back("[PAD" + std::to_string(i) + "]");
}

}  // namespace

ModelConfig read_config(const ModelSource& source) {
    ModelConfig c{};
    c.decoder = read_decoder(source);
    c.vision = read_vision(source);
    c.projector = read_projector(source, c.vision, c.decoder.width);
    c.router = read_router(source, c.vision, c.projector);
    c.image = read_image(source, c.vision, c.projector, c.decoder.vocab_size);
    c.chat = read_chat(source, c.decoder.vocab_size);
    if (source.has(kPositionStep)) {
        set_position_step(c, source.real(kPositionStep), ErrorKind::model_file);
    }
    return c;
}

void set_position_step(ModelConfig& config, double step, ErrorKind kind) {
    constexpr int64_t kMostUnits = 256;
    for (int64_t units = 1; units <= kMostUnits; units *= 2) {
        if (step * static_cast<double>(units) != 1.0) continue;
        config.decoder.rope.position_units = units;
        return;
    }
    throw Error(kind, "[config] expected an image position step of 1, 1/2, 1/4 … 1/256; found " +
                          std::to_string(step) + "; choose another");
}

VocabData read_vocab(const ModelSource& source) {
    VocabData vocab;
    vocab.model = source.text(kTokenizerModel);
    vocab.pre = optional_text(source, kTokenizerPre);
    vocab.tokens = source.texts(kTokens);
    if (source.has(kTokenTypes)) {
        for (const int64_t type : source.integers(kTokenTypes)) {
            vocab.types.push_back(static_cast<int32_t>(type));
        }
    }
    if (source.has(kTokenScores)) {
        for (const double score : source.reals(kTokenScores)) {
            vocab.scores.push_back(static_cast<float>(score));
        }
    }
    if (source.has(kMerges)) vocab.merges = source.texts(kMerges);
    // SentencePiece's own default, and llama.cpp's where the key is missing.
    const bool is_sentencepiece = vocab.model == "llama";
    vocab.add_space_prefix = optional_flag(source, kAddSpacePrefix, /*otherwise=*/is_sentencepiece);
    vocab.prefix_at_start = optional_flag(source, kPrefixAtStart);
    if (is_sentencepiece) check_normaliser(source);
    vocab.add_bos = optional_flag(source, kAddBos);
    vocab.bos_id = optional_id(source, kBosId);
    vocab.eos_id = optional_id(source, kEosId);
    vocab.unk_id = optional_id(source, kUnknownId);
    if (source.has(kStripAfter)) {
        for (const int64_t id : source.integers(kStripAfter)) {
            vocab.strip_after.push_back(static_cast<int32_t>(id));
        }
    }
    const auto embedding = source.tensors().find(std::string(kTokenEmbedding) + ".weight");
    if (embedding != source.tensors().end()) pad(vocab, embedding->second.ne[1]);
    return vocab;
}

}  // namespace crispvl
