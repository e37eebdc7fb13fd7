#include "gguf/dialect_text_archs.h"

#include <algorithm>

#include "base/error.h"
#include "gguf/dialect_deduce.h"
#include "gguf/schema.h"
#include "text/tokenizer.h"

namespace crispvl::dialect {
namespace {

using namespace schema;

TextArch interleaved(const char* name) {
    TextArch row{name};
    row.rope_layout = "interleaved";
    return row;
}

TextArch phi3() {
    TextArch row{"phi3"};
    row.has_joined_gate_up = true;
    row.strips_after_marks = true;
    return row;
}

TextArch gpt_oss() {
    TextArch row{"gpt-oss"};
    row.mlp_norm = "post_attention_norm";
    row.has_clamped_gate = true;
    row.has_half_sliding = true;
    row.has_whole_ramp = false;
    return row;
}

const TextArch kTextArchs[] = {
    {"qwen2"}, {"qwen3"}, {"qwen3moe"}, interleaved("internlm2"), interleaved("llama"),
    phi3(),    gpt_oss()};

// gpt-oss's, which its file leaves out (gpt_oss.py of the model's repository).
constexpr double kClampedAlpha = 1.702, kClampedLimit = 7.0;

const TextArch* find_arch(const std::string& name) {
    const auto row = std::find_if(std::begin(kTextArchs), std::end(kTextArchs),
                                  [&](const TextArch& arch) { return name == arch.name; });
    return row == std::end(kTextArchs) ? nullptr : row;
}

std::string key_of(const TextArch& arch, const char* name) {
    return std::string(arch.name) + "." + name;
}

// "blk.3" of "blk.3.attn_qkv.weight", where the module is `module`; else empty.
std::string block_of(const std::string& tensor, const std::string& module) {
    const size_t at = tensor.find("." + module + ".");
    return at == std::string::npos ? std::string() : tensor.substr(0, at);
}

std::string part_of(const std::string& tensor) {
    return tensor.substr(tensor.rfind('.'));  // ".weight" or ".bias"
}

}  // namespace

const TextArch& text_arch(const ModelSource& source) {
    const std::string arch = source.text(kArchitecture);
    if (const TextArch* found = find_arch(arch)) return *found;
    std::string known;
    for (const TextArch& row : kTextArchs) {
        known += (known.empty() ? "" : ", ") + std::string(row.name);
    }
    throw Error(ErrorKind::model_file, "[config] expected the text model of an InternVL (" + known +
                                           "); found that " + source.describe() + " is '" + arch +
                                           "'; give an InternVL model");
}

void add_text_tensors(ModelSource& source, const GgufParts& parts, const TextArch& arch) {
    const int64_t d_head = count(source, key_of(arch, kTextHeadDim));
    const int64_t d_q = count(source, key_of(arch, kTextHeads)) * d_head;
    const int64_t d_kv = count(source, key_of(arch, kTextKvHeads)) * d_head;
    const auto add = [&](const GgufTensor& tensor) {
        const std::string part = part_of(tensor.name);
        if (const std::string block = block_of(tensor.name, "attn_qkv"); !block.empty()) {
            add_row_blocks(source, tensor,
                           {{block + ".attn_q" + part, d_q},
                            {block + ".attn_k" + part, d_kv},
                            {block + ".attn_v" + part, d_kv}});
            return;
        }
        const std::string block = block_of(tensor.name, "ffn_up");
        if (arch.has_joined_gate_up && !block.empty()) {
            const int64_t d_mlp = count(source, key_of(arch, kTextMlp));
            add_row_blocks(
                source, tensor,
                {{block + ".ffn_gate" + part, d_mlp}, {block + ".ffn_up" + part, d_mlp}});
            return;
        }
        GgufTensor named = tensor;
        if (const std::string norm = block_of(tensor.name, arch.mlp_norm); !norm.empty()) {
            named.name = norm + ".ffn_norm" + part;
        }
        source.add_tensor(std::move(named));
    };
    for (const auto& file : parts) {
        for (const GgufTensor& tensor : file->tensors()) {
            // The encoder's names are its own.
            tensor.name.compare(0, 4, "blk.") == 0 ? add(tensor) : source.add_tensor(tensor);
        }
    }
}

void deduce_text_switches(ModelSource& source, const TextArch& arch) {
    const auto has = [&](const char* name) { return has_tensor(source, text_block(0) + name); };
    deduce_if_absent(source, kRopeTruncate, arch.has_whole_ramp);
    deduce_if_absent(source, kDecoderSinks, has(".attn_sinks.weight"));
    deduce_if_absent(source, kMlpGate, std::string(arch.has_clamped_gate ? "clamped" : "silu"));
    deduce_if_absent(source, kMlpAlpha, kClampedAlpha);
    deduce_if_absent(source, kMlpLimit, kClampedLimit);
    deduce_if_absent(source, kRouterBias, has(".ffn_gate_inp.bias"));
    deduce_if_absent(source, kExpertsNormalised, true);
    deduce_if_absent(source, kExpertsJoined, has(".ffn_gate_up_exps.weight"));
    const std::string window = key_of(arch, kTextWindow);
    const bool slides = source.has(window) && source.integer(window) != 0;  // of Phi-3, 0 is none
    std::vector<bool> layers(static_cast<size_t>(count(source, key_of(arch, kTextLayers))), slides);
    for (size_t i = 1; i < layers.size() && arch.has_half_sliding; i += 2) layers[i] = false;
    deduce_if_absent(source, kDecoderSlidingLayers, layers);
    deduce_decoder_switches(source);
}

void deduce_text_tokens(ModelSource& source) {
    const TextArch* arch = find_arch(source.text(kArchitecture));
    if (arch == nullptr || !arch->strips_after_marks) return;
    if (source.has(kLayoutVersion) || !source.has(kTokenTypes)) return;  // a pair of ours says all
    const std::vector<std::string> tokens = source.texts(kTokens);
    const std::vector<int64_t> types = source.integers(kTokenTypes);
    std::vector<int64_t> ids;
    for (size_t i = 0; i < std::min(tokens.size(), types.size()); ++i) {
        const std::string& token = tokens[i];
        const bool is_mark = token.compare(0, 2, "<|") == 0 && token != "<|endoftext|>";
        const bool is_special = types[i] == static_cast<int64_t>(TokenType::control) ||
                                types[i] == static_cast<int64_t>(TokenType::user_defined);
        if (is_special && (is_mark || token == "</s>")) ids.push_back(static_cast<int64_t>(i));
    }
    source.deduce(kStripAfter, ids);
    source.deduce(kPrefixAtStart, true);
}

}  // namespace crispvl::dialect
