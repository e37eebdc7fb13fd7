// CrispEmbed's single file, architecture "internvl2": its own names, no permuted rows, no switches.
// Two writers exist: a converter from checkpoints, whose vocabulary has no types and no merges
// (dialect_crispembed_vocab.cpp completes it), and a merger of llama.cpp pairs, which keeps theirs.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "gguf/dialect.h"
#include "gguf/dialect_crispembed.h"
#include "gguf/dialect_deduce.h"
#include "gguf/dialect_text_archs.h"
#include "gguf/schema.h"

namespace crispvl {
namespace {

using namespace dialect;
using namespace schema;

struct Name {
    const char* theirs;
    const char* ours;
};

constexpr Name kModules[] = {
    {"v.patch_embed.", "v.patch_embd."}, {"v.class_embedding", "v.class_embd"},
    {"v.proj.norm.", "mm.model.mlp.0."}, {"v.position_embedding", "v.position_embd.weight"},
    {"v.proj.fc1.", "mm.model.mlp.1."},  {"v.proj.fc2.", "mm.model.mlp.3."},
    {"l.embed_tokens.", "token_embd."},  {"l.output_norm.", "output_norm."},
    {"l.lm_head.", "output."},
};

constexpr Name kBlocks[] = {{"v.blk.", "v.blk."}, {"l.blk.", "blk."}};

constexpr Name kBlockModules[] = {
    {"norm1.", "ln1."},        {"norm2.", "ln2."},          {"ls1", "ls1.weight"},
    {"ls2", "ls2.weight"},     {"attn_proj.", "attn_out."}, {"ffn_fc1.", "ffn_up."},
    {"ffn_fc2.", "ffn_down."}, {"attn_o.", "attn_output."},
};

bool begins(const std::string& text, size_t at, const char* with) {
    const std::string prefix = with;
    return text.compare(at, prefix.size(), prefix) == 0;
}

void add_tensors(ModelSource& source, const GgufParts& parts, int64_t d_vision) {
    const std::string fused = ".attn_qkv.";
    for (const auto& part : parts) {
        for (GgufTensor tensor : part->tensors()) {
            tensor.name = crispembed_canonical_name(tensor.name);
            const size_t at = tensor.name.find(fused);
            if (at == std::string::npos) {
                source.add_tensor(std::move(tensor));
                continue;
            }
            const std::string block = tensor.name.substr(0, at);
            const std::string kind = tensor.name.substr(at + fused.size());
            add_row_blocks(source, tensor,
                           {{block + ".attn_q." + kind, d_vision},
                            {block + ".attn_k." + kind, d_vision},
                            {block + ".attn_v." + kind, d_vision}});
        }
    }
}

// ---- keys ---------------------------------------------------------------------------------------

std::string theirs(const char* name) {
    return std::string("internvl2.") + name;
}

std::string text_or(const ModelSource& source, const char* name, const char* otherwise) {
    return source.has(theirs(name)) ? source.text(theirs(name)) : otherwise;
}

// "" where the file says nothing. Files of the first months do not; H2OVL's tokens tell them apart.
std::string conversation_format(const ModelSource& source) {
    const std::string format = text_or(source, "chat_template", "");
    if (!format.empty()) return format;
    const std::vector<std::string> tokens = source.texts(kTokens);
    const auto has = [&](const char* token) {
        return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
    };
    return has("<|end|>") && !has("<|im_start|>") ? "h2ogpt2" : "";
}

// H2OVL models come in the same layout and need another prompt and tiling at two scales.
void refuse_h2ovl(const ModelSource& source, const std::string& format) {
    const bool two_scales = source.has(theirs("use_msac")) && source.boolean(theirs("use_msac"));
    if (format != "h2ogpt2" && !two_scales) return;
    throw Error(ErrorKind::model_file,
                "[model] expected an InternVL; found that " + source.describe() +
                    " is an H2OVL model (" +
                    (two_scales ? "tiles at two scales" : "conversation format 'h2ogpt2'") +
                    "), which crispvl cannot run; give an InternVL model");
}

void deduce_vision(ModelSource& source) {
    constexpr Name kCounts[] = {{"vision.num_hidden_layers", kVisionLayers},
                                {"vision.hidden_size", kVisionWidth},
                                {"vision.intermediate_size", kVisionMlp},
                                {"vision.num_attention_heads", kVisionHeads},
                                {"vision.patch_size", kVisionPatch},
                                {"vision.image_size", kVisionTile},
                                {"hidden_size", kProjectionDim}};
    for (const Name& row : kCounts) source.deduce(row.ours, count(source, theirs(row.theirs)));
    source.deduce(kVisionEpsilon, source.real(theirs("vision.layer_norm_eps")));
    const auto rgb = [&](const char* name, std::vector<double> otherwise) {
        return source.has(theirs(name)) ? source.reals(theirs(name)) : otherwise;
    };
    // ImageNet's statistics, where the merger found none.
    source.deduce(kVisionMean, rgb("vision.image_mean", {0.485, 0.456, 0.406}));
    source.deduce(kVisionStd, rgb("vision.image_std", {0.229, 0.224, 0.225}));
    const double ratio = source.real(theirs("downsample_ratio"));
    const double unshuffle = ratio > 0 ? std::round(1 / ratio) : 0;
    if (!(unshuffle >= 1) || unshuffle > 64 || std::abs(unshuffle * ratio - 1) > 1e-6) {
        throw Error(ErrorKind::model_file,
                    "[config] expected 'internvl2.downsample_ratio' to be one divided by a whole "
                    "number; found " +
                        std::to_string(ratio) + "; convert the model again");
    }
    source.deduce(kUnshuffle, static_cast<int64_t>(unshuffle));
    source.deduce(kUnshuffleVersion, text_or(source, "ps_version", "v2"));
    source.deduce(kMinTiles, count(source, theirs("min_dynamic_patch")));
    source.deduce(kMaxTiles, count(source, theirs("max_dynamic_patch")));
    source.deduce(kThumbnail, source.boolean(theirs("use_thumbnail")));
    if (source.has(theirs("use_msac"))) {
        source.deduce(kMultiScale, source.boolean(theirs("use_msac")));
    }
    deduce_vision_switches(source);
}

void deduce_text(ModelSource& source) {
    // Files of the first days do not name the text model: of the two there were, Qwen2 has biases.
    const bool has_bias = has_tensor(source, text_block(0) + ".attn_q.bias");
    const std::string arch = text_or(source, "llm_model_type", has_bias ? "qwen2" : "internlm2");
    if (arch != "qwen2" && arch != "internlm2" && arch != "llama") {
        throw Error(ErrorKind::model_file,
                    "[config] expected 'internvl2.llm_model_type' to be qwen2, internlm2 or "
                    "llama; found '" +
                        arch + "'; convert the checkpoint with 'crispvl convert'");
    }
    source.deduce(kArchitecture, arch);
    const auto key = [&](const char* name) { return arch + "." + name; };
    constexpr Name kCounts[] = {{"num_hidden_layers", kTextLayers},
                                {"hidden_size", kTextWidth},
                                {"intermediate_size", kTextMlp},
                                {"num_attention_heads", kTextHeads},
                                {"num_key_value_heads", kTextKvHeads}};
    for (const Name& row : kCounts) {
        source.deduce(key(row.ours), count(source, theirs(row.theirs)));
    }
    source.deduce(key(kTextHeadDim),
                  source.integer(key(kTextWidth)) / source.integer(key(kTextHeads)));
    source.deduce(key(kTextEpsilon), source.real(theirs("rms_norm_eps")));
    source.deduce(key(kTextRopeTheta), source.real(theirs("rope_theta")));
    source.deduce(kRopeLayout, std::string("half"));
    source.deduce(kRopeScaling, text_or(source, "rope_scaling_type", "none"));
    const std::string key_factor = theirs("rope_scaling_factor");
    const double factor = source.has(key_factor) ? source.real(key_factor) : 1.0;
    const double stretch = factor >= 1 && factor <= 1024 ? factor : 1.0;
    const int64_t trained = count(source, theirs("max_position_embeddings"));
    source.deduce(kRopeFactor, factor);
    source.deduce(kRopeOriginal, trained);
    source.deduce(key(kTextContext), static_cast<int64_t>(static_cast<double>(trained) * stretch));
    deduce_text_switches(source, text_arch(source));
}

}  // namespace

// A name of no row stays as it is; the report on the weights tells of it.
std::string crispembed_canonical_name(const std::string& theirs) {
    const auto replaced = [&](size_t at, const Name& row) {
        return row.ours + theirs.substr(at + std::string(row.theirs).size());
    };
    for (const Name& row : kModules) {
        if (begins(theirs, 0, row.theirs)) return replaced(0, row);
    }
    for (const Name& block : kBlocks) {
        if (!begins(theirs, 0, block.theirs)) continue;
        const size_t at_index = std::string(block.theirs).size();
        const size_t dot = theirs.find('.', at_index);
        if (dot == std::string::npos) continue;
        std::string module = theirs.substr(dot + 1);
        for (const Name& row : kBlockModules) {
            if (begins(theirs, dot + 1, row.theirs)) module = replaced(dot + 1, row);
        }
        return block.ours + theirs.substr(at_index, dot + 1 - at_index) + module;
    }
    return theirs;
}

bool is_crispembed(const GgufFile& main) {
    return arch_of(main) == "internvl2";
}

void read_crispembed(ModelSource& source, const DialectFiles& files) {
    require_vocabulary(source);
    const std::string format = conversation_format(source);
    refuse_h2ovl(source, format);
    if (!files.tokenizer) crispembed::complete_vocabulary(source);
    add_tensors(source, files.main, count(source, theirs("vision.hidden_size")));
    deduce_vision(source);
    deduce_text(source);
    deduce_image_tokens(source);
    if (!format.empty()) source.deduce(kChatTemplate, format);
    deduce_chat(source);
}

}  // namespace crispvl
