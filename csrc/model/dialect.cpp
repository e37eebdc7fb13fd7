// Our single file needs no translation. A llama.cpp pair has our names already and leaves out the
// switches, which its loader infers (formats: convert_hf_to_gguf.py and clip.cpp of llama.cpp).
#include "model/dialect.h"

#include <algorithm>

#include "model/schema.h"
#include "runtime/error.h"

namespace crispvl {
namespace {

using namespace schema;

// What llama.cpp decides by architecture: the pairing of rotary dimensions (llama_model_rope_type).
struct TextArch {
    const char* name;
    const char* rope_layout;
};
constexpr TextArch kTextArchs[] = {
    {"qwen2", "half"}, {"qwen3", "half"}, {"internlm2", "interleaved"}, {"llama", "interleaved"}};

std::string arch_of(const GgufFile& file) {
    const std::optional<GgufValue> value = file.find(kArchitecture);
    const std::string* text = value ? std::get_if<std::string>(&*value) : nullptr;
    if (text == nullptr) {
        throw Error(ErrorKind::model_file, "[config] expected the key 'general.architecture'; '" +
                                               file.path() + "' does not have it; give a model file");
    }
    return *text;
}

bool is_projector(const GgufFile& file) { return arch_of(file) == "clip"; }

void add_tensors(ModelSource& source, const GgufFile& file) {
    for (const GgufTensor& tensor : file.tensors()) source.add_tensor(tensor);
}

bool has_tensor(const ModelSource& source, const std::string& name) {
    return source.tensors().find(name) != source.tensors().end();
}

void deduce_if_absent(ModelSource& source, const char* key, GgufValue value) {
    if (!source.has(key)) source.deduce(key, std::move(value));
}

// ---- llama.cpp's pair ---------------------------------------------------------------------------

// Row blocks of a fused projection become tensors of their own: rows are contiguous in every type.
void split_rows(ModelSource& source, const GgufTensor& fused,
                const std::vector<std::pair<std::string, int64_t>>& parts) {
    const bool is_vector = fused.ne[1] == 1;
    const int64_t n_rows = is_vector ? fused.ne[0] : fused.ne[1];
    const size_t row_bytes = fused.n_bytes / static_cast<size_t>(n_rows);
    int64_t row = 0;
    for (const auto& [name, n_part] : parts) {
        if (row + n_part > n_rows) break;
        GgufTensor part = fused;
        part.name = name;
        part.ne[is_vector ? 0 : 1] = n_part;
        part.data = fused.data + static_cast<size_t>(row) * row_bytes;
        part.n_bytes = static_cast<size_t>(n_part) * row_bytes;
        source.add_tensor(std::move(part));
        row += n_part;
    }
    if (row != n_rows) {
        throw Error(ErrorKind::model_file, "[weights] expected '" + fused.name + "' to have " +
                                               std::to_string(row) + " rows (q, k, v); it has " +
                                               std::to_string(n_rows) + "; convert the model again");
    }
}

int64_t count(const ModelSource& source, const std::string& key) {
    const int64_t value = source.integer(key);
    if (value < 1 || value > (int64_t{1} << 24)) {
        throw Error(ErrorKind::model_file, "[config] expected '" + key + "' to be positive; found " +
                                               std::to_string(value) + "; convert the model again");
    }
    return value;
}

// llama.cpp's converter can fuse q, k and v (`--fuse-qkv`); rows are q, then k, then v.
void add_pair_tensors(ModelSource& source, const GgufFile& file, int64_t d_q, int64_t d_kv) {
    const std::string fused = ".attn_qkv.";
    for (const GgufTensor& tensor : file.tensors()) {
        const size_t at = tensor.name.find(fused);
        if (at == std::string::npos) {
            source.add_tensor(tensor);
            continue;
        }
        const std::string block = tensor.name.substr(0, at);
        const std::string kind = tensor.name.substr(at + fused.size());
        split_rows(source, tensor,
                   {{block + ".attn_q." + kind, d_q},
                    {block + ".attn_k." + kind, d_kv},
                    {block + ".attn_v." + kind, d_kv}});
    }
}

void deduce_text(ModelSource& source) {
    const std::string arch = source.text(kArchitecture);
    const auto row = std::find_if(std::begin(kTextArchs), std::end(kTextArchs),
                                  [&](const TextArch& a) { return arch == a.name; });
    if (row == std::end(kTextArchs)) {
        throw Error(ErrorKind::model_file, "[config] expected a text model of an InternVL (qwen2, qwen3, "
                                           "internlm2, llama); " +
                                               source.describe() + " is '" + arch +
                                               "'; give an InternVL model");
    }
    const auto key = [&](const char* name) { return arch + "." + name; };
    deduce_if_absent(source, key(kTextHeadDim).c_str(),
                     source.integer(key(kTextWidth)) / count(source, key(kTextHeads)));
    deduce_if_absent(source, key(kTextKvHeads).c_str(), source.integer(key(kTextHeads)));
    deduce_if_absent(source, key(kTextRopeTheta).c_str(), 10000.0);
    deduce_if_absent(source, kRopeLayout, std::string(row->rope_layout));
    deduce_if_absent(source, kDecoderQkvBias, has_tensor(source, "blk.0.attn_q.bias"));
    deduce_if_absent(source, kDecoderOutBias, has_tensor(source, "blk.0.attn_output.bias"));
    deduce_if_absent(source, kDecoderMlpBias, has_tensor(source, "blk.0.ffn_up.bias"));
    deduce_if_absent(source, kDecoderQkNorm,
                     std::string(has_tensor(source, "blk.0.attn_q_norm.weight") ? "per_head" : "none"));
    deduce_if_absent(source, kDecoderTiedHead, !has_tensor(source, "output.weight"));

    const std::string scaling_key = key("rope.scaling.type");
    const std::string scaling = source.has(scaling_key) ? source.text(scaling_key) : "none";
    deduce_if_absent(source, kRopeScaling, scaling);
    const auto copy_scaling = [&](const char* from, const char* to, double otherwise) {
        const std::string name = key("rope.scaling.") + from;
        deduce_if_absent(source, to, source.has(name) ? source.real(name) : otherwise);
    };
    copy_scaling("factor", kRopeFactor, 1.0);
    copy_scaling("yarn_beta_fast", kRopeBetaFast, 32.0);
    copy_scaling("yarn_beta_slow", kRopeBetaSlow, 1.0);
    copy_scaling("attn_factor", kRopeAttnFactor, 1.0);
    const std::string original = key("rope.scaling.original_context_length");
    deduce_if_absent(source, kRopeOriginal,
                     source.integer(source.has(original) ? original : key(kTextContext)));
}

void deduce_vision(ModelSource& source) {
    deduce_if_absent(source, kVisionNorm,
                     std::string(has_tensor(source, "v.blk.0.ln1.bias") ? "layer_norm" : "rms_norm"));
    deduce_if_absent(source, kVisionQkNorm,
                     std::string(has_tensor(source, "v.blk.0.attn_q_norm.weight") ? "full" : "none"));
    deduce_if_absent(source, kVisionQkvBias, has_tensor(source, "v.blk.0.attn_q.bias"));
    deduce_if_absent(source, kVisionActivation, std::string("gelu_erf"));
    deduce_if_absent(source, kVisionFeatureLayer, int64_t{-1});
    deduce_if_absent(source, kProjectorActivation, std::string("gelu_erf"));
    deduce_if_absent(source, kProjectorEpsilon, 1e-5);
    deduce_if_absent(source, kUnshuffleVersion, std::string("v2"));
    deduce_if_absent(source, kUnshuffle, int64_t{2});
    deduce_if_absent(source, kMinTiles, int64_t{1});
    deduce_if_absent(source, kMaxTiles, int64_t{12});
    deduce_if_absent(source, kThumbnail, true);
}

// Ids by text: the only stable name a special token has.
void deduce_tokens(ModelSource& source) {
    const std::vector<std::string> tokens = source.texts(kTokens);
    const auto find = [&](const char* text) -> int64_t {
        const auto it = std::find(tokens.begin(), tokens.end(), text);
        return it == tokens.end() ? -1 : it - tokens.begin();
    };
    const auto require = [&](const char* key, const char* text) {
        if (source.has(key)) return;
        const int64_t id = find(text);
        if (id < 0) {
            throw Error(ErrorKind::model_file,
                        std::string("[tokenizer] expected the token '") + text + "'; " +
                            source.describe() + " does not have it; give the text file of an InternVL");
        }
        source.deduce(key, id);
    };
    require(kImageStart, "<img>");
    require(kImageEnd, "</img>");
    require(kImageContext, "<IMG_CONTEXT>");
    if (source.has(kChatStopIds)) return;
    std::vector<int64_t> stops;
    const auto add = [&](int64_t id) {
        if (id >= 0 && std::find(stops.begin(), stops.end(), id) == stops.end()) stops.push_back(id);
    };
    if (source.has(kEosId)) add(source.integer(kEosId));
    for (const char* text : {"<|im_end|>", "<|endoftext|>", "</s>"}) add(find(text));
    source.deduce(kChatStopIds, stops);
    // Every InternVL 2.5 and 3 speaks ChatML; without a template of its own the file gets its name.
    if (!source.has(kJinjaTemplate)) deduce_if_absent(source, kChatTemplate, std::string("internvl2_5"));
}

std::string name_of(const GgufFile& file) {
    const std::optional<GgufValue> value = file.find(kName);
    const std::string* text = value ? std::get_if<std::string>(&*value) : nullptr;
    return text != nullptr ? *text : file.path();
}

// A projector of another model is refused by width; where the widths agree by chance, the names
// are all there is to compare.
void check_pair(ModelSource& source, const GgufFile& text, const GgufFile& mmproj) {
    const int64_t width = source.integer(source.text(kArchitecture) + "." + kTextWidth);
    const auto output = source.tensors().find(std::string(kProjectorOut) + ".weight");
    if (output == source.tensors().end()) {
        throw Error(ErrorKind::model_file, "[model] expected an InternVL projector; '" + mmproj.path() +
                                               "' has no 'mm.model.mlp.3.weight'; give the mmproj of '" +
                                               name_of(text) + "'");
    }
    if (output->second.ne[1] != width) {
        throw Error(ErrorKind::model_file,
                    "[model] expected a projector of width " + std::to_string(width) + " for '" +
                        name_of(text) + "' (" + text.path() + "); '" + name_of(mmproj) + "' (" +
                        mmproj.path() + ") has width " + std::to_string(output->second.ne[1]) +
                        "; give the mmproj that was published with the text file");
    }
    if (name_of(text) != name_of(mmproj)) {
        source.warn("The text model is named '" + name_of(text) + "' and the projector '" +
                    name_of(mmproj) + "'; their widths agree, but make sure they belong together.");
    }
}

}  // namespace

void read_dialect(ModelSource& source, std::shared_ptr<const GgufFile> main,
                  std::shared_ptr<const GgufFile> mmproj) {
    source.add_file(main);
    if (is_projector(*main)) {
        throw Error(ErrorKind::model_file, "[model] expected a text or single-file model; '" + main->path() +
                                               "' is a projector; give it as mmproj, with the text "
                                               "file as model");
    }
    if (mmproj && !is_projector(*mmproj)) {
        throw Error(ErrorKind::model_file, "[model] expected a projector (architecture 'clip') as mmproj; '" +
                                               mmproj->path() + "' is a '" + arch_of(*mmproj) +
                                               "' model; give the mmproj file of '" + name_of(*main) +
                                               "'");
    }
    const bool is_single = main->has(kLayoutVersion) && main->has(kVisionLayers);
    if (is_single && mmproj) {
        throw Error(ErrorKind::model_file, "[model] expected one file; '" + main->path() +
                                               "' holds its projector already; leave mmproj out");
    }
    if (is_single) {
        const int64_t version = source.integer(kLayoutVersion);
        if (version != 1) {
            throw Error(ErrorKind::model_file, "[config] expected layout version 1; '" + main->path() +
                                                   "' has version " + std::to_string(version) +
                                                   "; use a newer crispvl");
        }
        add_tensors(source, *main);
        return;
    }
    if (mmproj) source.add_file(mmproj);
    const std::string arch = source.text(kArchitecture);
    if (!main->tensors().empty()) {
        const int64_t n_heads = count(source, arch + "." + kTextHeads);
        const std::string kv_key = arch + "." + kTextKvHeads;
        const std::string dim_key = arch + "." + kTextHeadDim;
        const int64_t d_head = source.has(dim_key) ? count(source, dim_key)
                                                   : count(source, arch + "." + kTextWidth) / n_heads;
        const int64_t n_kv = source.has(kv_key) ? count(source, kv_key) : n_heads;
        add_pair_tensors(source, *main, n_heads * d_head, n_kv * d_head);
        deduce_text(source);
    }
    if (mmproj) {
        const int64_t width = count(source, kVisionWidth);
        add_pair_tensors(source, *mmproj, width, width);
        check_pair(source, *main, *mmproj);
        deduce_vision(source);
        deduce_tokens(source);
    }
}

ModelSource ModelSource::open(const std::string& path, const std::string& mmproj) {
    ModelSource source;
    auto main = std::make_shared<const GgufFile>(path);
    auto projector = mmproj.empty() ? nullptr : std::make_shared<const GgufFile>(mmproj);
    read_dialect(source, std::move(main), std::move(projector));
    return source;
}

}  // namespace crispvl
