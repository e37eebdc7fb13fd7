// llama.cpp's pair: its names are ours, its loader infers the switches (formats: the conversion
// scripts, llama-model.cpp and clip.cpp of llama.cpp).
#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "gguf/dialect.h"
#include "gguf/dialect_deduce.h"
#include "gguf/dialect_text_archs.h"
#include "gguf/schema.h"

namespace crispvl {
namespace {

using namespace dialect;
using namespace schema;

// The converter can fuse q, k and v (`--fuse-qkv`); rows are q, then k, then v.
void add_vision_tensors(ModelSource& source, const GgufParts& parts, int64_t width) {
    const std::string fused = ".attn_qkv.";
    for (const auto& part : parts) {
        for (const GgufTensor& tensor : part->tensors()) {
            const size_t at = tensor.name.find(fused);
            if (at == std::string::npos) {
                source.add_tensor(tensor);
                continue;
            }
            const std::string block = tensor.name.substr(0, at);
            const std::string kind = tensor.name.substr(at + fused.size());
            add_row_blocks(source, tensor,
                           {{block + ".attn_q." + kind, width},
                            {block + ".attn_k." + kind, width},
                            {block + ".attn_v." + kind, width}});
        }
    }
}

void deduce_rope(ModelSource& source, const TextArch& arch) {
    const std::string prefix = std::string(arch.name) + ".rope.scaling.";
    const auto number = [&](const char* name, double otherwise) {
        return source.has(prefix + name) ? source.real(prefix + name) : otherwise;
    };
    deduce_if_absent(source, std::string(arch.name) + "." + kTextRopeTheta, 10000.0);
    deduce_if_absent(source, kRopeLayout, std::string(arch.rope_layout));
    const bool has_factor = source.has(prefix + "factor");
    const std::string type = has_tensor(source, kRopeFactors)       ? "factors"
                             : has_tensor(source, kRopeLongFactors) ? "longrope"
                             : source.has(prefix + "type")          ? source.text(prefix + "type")
                             : has_factor                           ? "linear"
                                                                    : "none";
    deduce_if_absent(source, kRopeScaling, type);
    const double factor = number("factor", 1.0);
    deduce_if_absent(source, kRopeFactor, factor);
    deduce_if_absent(source, kRopeBetaFast, number("yarn_beta_fast", 32.0));
    deduce_if_absent(source, kRopeBetaSlow, number("yarn_beta_slow", 1.0));
    // Ours is the whole factor; llama.cpp's is applied beside YaRN's own (llama-context.cpp).
    const double yarn = type == "yarn" && factor > 1 ? 0.1 * std::log(factor) + 1 : 1.0;
    deduce_if_absent(source, kRopeAttnFactor, yarn * number("attn_factor", 1.0));
    const std::string context = std::string(arch.name) + "." + kTextContext;
    const std::string original = prefix + "original_context_length";
    deduce_if_absent(source, kRopeOriginal,
                     source.integer(source.has(original) ? original : context));
}

void read_text(ModelSource& source, const GgufParts& parts) {
    const TextArch& arch = text_arch(source);
    const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
    const int64_t n_heads = count(source, key(kTextHeads));
    deduce_if_absent(source, key(kTextHeadDim), count(source, key(kTextWidth)) / n_heads);
    deduce_if_absent(source, key(kTextKvHeads), n_heads);
    const int64_t d_head = count(source, key(kTextHeadDim));
    const std::string rotary = key("rope.dimension_count");
    if (source.has(rotary) && source.integer(rotary) != d_head) {
        throw Error(ErrorKind::model_file, "[config] expected '" + rotary + "' to be " +
                                               std::to_string(d_head) +
                                               ", the whole head; found that " + source.describe() +
                                               " has " + std::to_string(source.integer(rotary)) +
                                               "; give the text file of an InternVL");
    }
    add_text_tensors(source, parts, arch);
    deduce_rope(source, arch);
    deduce_text_switches(source, arch);
}

// ---- the projector ------------------------------------------------------------------------------

void check_projector(const GgufFile& text, const GgufFile& mmproj) {
    std::string type = text_of(mmproj, kProjectorType);
    if (type.empty()) type = text_of(mmproj, "clip.vision.projector_type");
    if (type == "internvl") return;
    throw Error(ErrorKind::model_file,
                "[model] expected the projector of an InternVL (clip.projector_type 'internvl'); "
                "found that '" +
                    mmproj.path() + "' is of type '" + type + "'; give the mmproj file of '" +
                    name_of(text) + "'");
}

void check_width(const ModelSource& source, const GgufFile& text, const GgufFile& mmproj) {
    const int64_t width = source.integer(source.text(kArchitecture) + "." + kTextWidth);
    const auto output = source.tensors().find(std::string(kProjectorOut) + ".weight");
    if (output == source.tensors().end()) {
        throw Error(ErrorKind::model_file, "[model] expected an InternVL projector; found that '" +
                                               mmproj.path() +
                                               "' has no 'mm.model.mlp.3.weight'; give the mmproj "
                                               "file of '" +
                                               name_of(text) + "'");
    }
    if (output->second.ne[1] == width) return;
    throw Error(ErrorKind::model_file,
                "[model] expected a projector of width " + std::to_string(width) + " for '" +
                    name_of(text) + "' (" + text.path() + "); found that '" + name_of(mmproj) +
                    "' (" + mmproj.path() + ") has width " + std::to_string(output->second.ne[1]) +
                    "; give the mmproj that was published with the text file");
}

// Letters and digits in lower case: converters spell one name in several ways.
std::string bare(const std::string& name) {
    std::string letters;
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (std::isalnum(byte) || byte >= 0x80) letters += static_cast<char>(std::tolower(byte));
    }
    return letters;
}

// Where widths agree by chance, where the files come from is all there is to compare.
void compare_origins(ModelSource& source, const GgufFile& text, const GgufFile& mmproj) {
    constexpr std::pair<const char*, const char*> kOrigins[] = {
        {kSourceRepository, "repository"}, {kSourceRevision, "revision"}, {kName, "name"}};
    for (const auto& [key, what] : kOrigins) {
        const std::string a = text_of(text, key), b = text_of(mmproj, key);
        if (a.empty() || b.empty() || bare(a) == bare(b)) continue;
        source.warn("The text model '" + text.path() + "' has the " + what + " '" + a +
                    "' and the projector '" + mmproj.path() + "' has '" + b +
                    "'. Their widths agree, but make sure that they belong together.");
        return;
    }
}

void read_vision(ModelSource& source, const GgufFile& text, const GgufParts& parts) {
    const GgufFile& mmproj = *parts.front();
    check_projector(text, mmproj);
    const int64_t width = count(source, kVisionWidth);
    add_vision_tensors(source, parts, width);
    check_width(source, text, mmproj);
    compare_origins(source, text, mmproj);
    const std::optional<GgufValue> use_silu = mmproj.find("clip.use_silu");
    if (use_silu && *use_silu == GgufValue(true)) {
        deduce_if_absent(source, kVisionActivation, std::string("silu"));
    }
    deduce_if_absent(source, kUnshuffle, int64_t{2});
    deduce_vision_switches(source);
}

}  // namespace

void read_llamacpp(ModelSource& source, const DialectFiles& files) {
    const GgufFile& text = *files.main.front();
    require_vocabulary(source);
    const bool has_weights = std::any_of(files.main.begin(), files.main.end(),
                                         [](const auto& part) { return !part->tensors().empty(); });
    if (has_weights) read_text(source, files.main);
    deduce_text_tokens(source);
    if (files.mmproj.empty()) return;
    text_arch(source);
    read_vision(source, text, files.mmproj);
    deduce_image_tokens(source);
    deduce_chat(source);
}

}  // namespace crispvl
