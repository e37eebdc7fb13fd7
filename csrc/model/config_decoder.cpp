// What writes: the decoder, its positions and experts.
#include <algorithm>
#include <initializer_list>

#include "gguf/schema.h"
#include "model/config_parts.h"
#include "model/config_values.h"

namespace crispvl {
namespace {

using namespace schema;

// Four times what any model has; a token's experts are nodes of the graph, in every layer.
constexpr int64_t kMostExperts = 2048;
constexpr int64_t kMostExpertsUsed = 32;

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
            throw invalid_value(source, kRopeFactor, "at least 1", std::to_string(c.factor));
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
        throw invalid_value(source, used_key, "at most " + std::to_string(c.n),
                            std::to_string(c.n_used));
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
        throw invalid_value(source, kDecoderSlidingLayers,
                            "one value for each of " + std::to_string(n_layers) + " layers",
                            std::to_string(layers.size()) + " values");
    }
    return layers;
}

}  // namespace

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
        throw invalid_value(source, key(kTextKvHeads), "a divisor of the heads",
                            std::to_string(c.n_kv_heads));
    }
    if (c.d_head % 2 != 0 || c.d_head > 1024) {
        throw invalid_value(source, key(kTextHeadDim), "even and at most 1024",
                            std::to_string(c.d_head));
    }
    return c;
}

}  // namespace crispvl
