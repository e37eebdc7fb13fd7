#include "gguf/dialect_deduce.h"

#include <algorithm>

#include "base/error.h"
#include "gguf/schema.h"

namespace crispvl::dialect {

using namespace schema;

std::string text_of(const GgufFile& file, const char* key) {
    const std::optional<GgufValue> value = file.find(key);
    const std::string* text = value ? std::get_if<std::string>(&*value) : nullptr;
    return text != nullptr ? *text : std::string();
}

std::string arch_of(const GgufFile& file) {
    const std::string arch = text_of(file, kArchitecture);
    if (arch.empty()) {
        throw Error(ErrorKind::model_file,
                    "[config] expected the key 'general.architecture'; found that '" + file.path() +
                        "' does not have it; give a model file");
    }
    return arch;
}

std::string name_of(const GgufFile& file) {
    const std::string name = text_of(file, kName);
    return name.empty() ? file.path() : name;
}

bool is_projector(const GgufFile& file) {
    return arch_of(file) == "clip";
}

bool has_tensor(const ModelSource& source, const std::string& name) {
    return source.tensors().find(name) != source.tensors().end();
}

int64_t count(const ModelSource& source, const std::string& key) {
    const int64_t value = source.integer(key);
    if (value < 1 || value > (int64_t{1} << 24)) {
        throw Error(ErrorKind::model_file, "[config] expected '" + key +
                                               "' to be between 1 and 16777216; found " +
                                               std::to_string(value) + "; convert the model again");
    }
    return value;
}

void deduce_if_absent(ModelSource& source, const std::string& key, GgufValue value) {
    if (!source.has(key)) source.deduce(key, std::move(value));
}

void add_row_blocks(ModelSource& source, const GgufTensor& fused,
                    const std::vector<std::pair<std::string, int64_t>>& parts) {
    const size_t i_rows = fused.ne[1] == 1 ? 0 : 1;  // a bias is a row of its own
    const int64_t n_rows = fused.ne[i_rows];
    int64_t n_wanted = 0;
    for (const auto& [name, n_part] : parts) n_wanted += n_part;
    if (n_wanted != n_rows || fused.ne[2] != 1 || fused.ne[3] != 1) {
        throw Error(ErrorKind::model_file, "[weights] expected '" + fused.name + "' to have " +
                                               std::to_string(n_wanted) +
                                               " rows (q, k, v); found " + std::to_string(n_rows) +
                                               "; convert the model again");
    }
    const size_t row_bytes = fused.n_bytes / static_cast<size_t>(n_rows);
    const uint8_t* data = fused.data;
    for (const auto& [name, n_part] : parts) {
        GgufTensor part = fused;
        part.name = name;
        part.ne[i_rows] = n_part;
        part.data = data;
        part.n_bytes = static_cast<size_t>(n_part) * row_bytes;
        data += part.n_bytes;
        source.add_tensor(std::move(part));
    }
}

void deduce_decoder_switches(ModelSource& source) {
    const auto has = [&](const char* name) { return has_tensor(source, text_block(0) + name); };
    const char* qk_norm = has(".attn_q_norm.weight") ? "per_head" : "none";
    deduce_if_absent(source, kDecoderQkvBias, has(".attn_q.bias"));
    deduce_if_absent(source, kDecoderOutBias, has(".attn_output.bias"));
    deduce_if_absent(source, kDecoderMlpBias, has(".ffn_up.bias") || has(".ffn_down_exps.bias"));
    deduce_if_absent(source, kDecoderQkNorm, std::string(qk_norm));
    deduce_if_absent(source, kDecoderTiedHead,
                     !has_tensor(source, std::string(kOutput) + ".weight"));
}

void deduce_vision_switches(ModelSource& source) {
    const auto has = [&](const char* name) { return has_tensor(source, vision_block(0) + name); };
    const char* norm = has(".ln1.bias") ? "layer_norm" : "rms_norm";
    const char* qk_norm = has(".attn_q_norm.weight") ? "full" : "none";
    deduce_if_absent(source, kVisionNorm, std::string(norm));
    deduce_if_absent(source, kVisionQkNorm, std::string(qk_norm));
    deduce_if_absent(source, kVisionQkvBias, has(".attn_q.bias"));
    deduce_if_absent(source, kVisionActivation, std::string("gelu_erf"));
    deduce_if_absent(source, kVisionFeatureLayer, int64_t{-1});
    deduce_if_absent(source, kProjectorActivation, std::string("gelu_erf"));
    deduce_if_absent(source, kProjectorEpsilon, 1e-5);  // PyTorch's default, which mlp1.0 has
    deduce_if_absent(source, kUnshuffleVersion, std::string("v2"));
    deduce_if_absent(source, kMinTiles, int64_t{1});
    deduce_if_absent(source, kMaxTiles, int64_t{12});
    deduce_if_absent(source, kThumbnail, true);
    deduce_if_absent(source, kMultiScale, false);
}

void deduce_image_tokens(ModelSource& source) {
    const std::vector<std::string> tokens = source.texts(kTokens);
    constexpr std::pair<const char*, const char*> kMarks[] = {
        {kImageStart, "<img>"}, {kImageEnd, "</img>"}, {kImageContext, "<IMG_CONTEXT>"}};
    for (const auto& [key, text] : kMarks) {
        if (source.has(key)) continue;
        const auto found = std::find(tokens.begin(), tokens.end(), text);
        if (found == tokens.end()) {
            throw Error(ErrorKind::model_file,
                        std::string("[tokenizer] expected the vocabulary of an InternVL, with "
                                    "the token '") +
                            text + "'; found that " + source.describe() +
                            " does not have it; give the text file of an InternVL");
        }
        source.deduce(key, int64_t{found - tokens.begin()});
    }
}

void deduce_chat(ModelSource& source) {
    const std::vector<std::string> tokens = source.texts(kTokens);
    const auto find = [&](const char* text) -> int64_t {
        const auto found = std::find(tokens.begin(), tokens.end(), text);
        return found == tokens.end() ? -1 : found - tokens.begin();
    };
    if (!source.has(kJinjaTemplate) && !source.has(kChatTemplate)) {
        // The token that begins a turn, and the format that the models with it were trained on.
        constexpr std::pair<const char*, const char*> kFormats[] = {
            {"<|im_start|>", "internvl2_5"},
            {"<|user|>", "phi3-chat"},
            {"<|channel|>", "internvl3_5_gpt_oss"},
            {"<|prompt|>", "h2ogpt2"}};
        const auto format = std::find_if(std::begin(kFormats), std::end(kFormats),
                                         [&](const auto& row) { return find(row.first) >= 0; });
        if (format == std::end(kFormats)) {
            throw Error(
                ErrorKind::model_file,
                "[chat template] expected the conversation format of an InternVL; found that " +
                    source.describe() +
                    " names none and has no token '<|im_start|>'; convert the checkpoint "
                    "with 'crispvl convert'");
        }
        source.deduce(kChatTemplate, std::string(format->second));
        source.warn(source.describe() + " does not say its conversation format; '" +
                    format->second + "' is used, as its token '" + format->first + "' suggests.");
    }
    // Qianfan-OCR, the only one with tokens for coordinates; what its model card asks.
    if (find("<COORD_0>") >= 0 || find("<COORD_000>") >= 0) {
        deduce_if_absent(source, kPromptMarkdown, std::string("Parse this document to Markdown."));
    }
    if (source.has(kChatStopIds)) return;
    std::vector<int64_t> stops;
    const auto add = [&](int64_t id) {
        const bool is_new = std::find(stops.begin(), stops.end(), id) == stops.end();
        if (id >= 0 && is_new) stops.push_back(id);
    };
    if (source.has(kEosId)) add(source.integer(kEosId));
    for (const char* text : {"<|im_end|>", "<|eot_id|>", "<|return|>", "<|endoftext|>", "</s>"}) {
        add(find(text));
    }
    // In gpt-oss's format it ends a message, and another one may follow.
    if (find("<|return|>") < 0) add(find("<|end|>"));
    source.deduce(kChatStopIds, stops);
}

void require_vocabulary(const ModelSource& source) {
    if (source.has(kTokens)) return;
    throw Error(ErrorKind::model_file,
                "[tokenizer] expected a vocabulary; found that " + source.describe() +
                    " was written without one; give the tokenizer of its checkpoint "
                    "(tokenizer=DIR_OR_GGUF, --tokenizer DIR_OR_GGUF)");
}

}  // namespace crispvl::dialect
