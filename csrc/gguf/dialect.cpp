// The choice of a layout. Our single file needs no translation.
#include "gguf/dialect.h"

#include <algorithm>

#include "base/error.h"
#include "gguf/dialect_deduce.h"
#include "gguf/dialect_text_archs.h"
#include "gguf/schema.h"
#include "text/tokenizer.h"

namespace crispvl {
namespace {

using namespace dialect;
using namespace schema;

bool is_single(const GgufFile& main) {
    return main.has(kLayoutVersion) && main.has(kVisionLayers);
}

void check_roles(const DialectFiles& files) {
    const GgufFile& main = *files.main.front();
    const GgufFile* mmproj = files.mmproj.empty() ? nullptr : files.mmproj.front().get();
    if (is_projector(main)) {
        const bool swapped = mmproj != nullptr && !is_projector(*mmproj);
        throw Error(ErrorKind::model_file,
                    "[model] expected a text or single-file model; found that '" + main.path() +
                        "' is a projector; " +
                        (swapped ? "exchange the two: '" + mmproj->path() + "' is the model"
                                 : "give it as mmproj, with the text file as model"));
    }
    if (mmproj == nullptr) return;
    if (is_single(main) || is_crispembed(main)) {
        throw Error(ErrorKind::model_file, "[model] expected one file; found that '" + main.path() +
                                               "' holds its projector already; leave mmproj out");
    }
    if (!is_projector(*mmproj)) {
        throw Error(ErrorKind::model_file,
                    "[model] expected a projector (architecture 'clip') as mmproj; found that '" +
                        mmproj->path() + "' is " +
                        (mmproj->path() == main.path() ? "the text file again"
                                                       : "a '" + arch_of(*mmproj) + "' model") +
                        "; give the mmproj file of '" + name_of(main) + "'");
    }
}

void read_single(ModelSource& source, const DialectFiles& files) {
    const int64_t version = source.integer(kLayoutVersion);
    if (version != 1) {
        throw Error(ErrorKind::model_file, "[config] expected layout version 1; found that " +
                                               source.describe() + " has version " +
                                               std::to_string(version) + "; use a newer crispvl");
    }
    const TextArch& arch = text_arch(source);
    add_text_tensors(source, files.main, arch);
    deduce_text_switches(source, arch);
    deduce_vision_switches(source);
}

void use_tokenizer(ModelSource& source, const GgufFile& file) {
    const std::string prefix = "tokenizer.ggml.";
    if (!file.has(kTokens)) {
        throw Error(ErrorKind::model_file,
                    "[tokenizer] expected a GGUF file with a vocabulary; found that '" +
                        file.path() + "' has none; give the checkpoint's tokenizer");
    }
    source.hide(prefix);
    for (const char* key : {kStripAfter, kPrefixAtStart}) {
        source.hide(key);
        if (file.has(key)) source.deduce(key, *file.find(key));
    }
    for (size_t i = 0; i < file.n_keys(); ++i) {
        std::string key = file.key(i);
        if (key.compare(0, prefix.size(), prefix) == 0) source.deduce(key, file.value(i));
    }
    if (file.has(kJinjaTemplate))
        deduce_if_absent(source, kJinjaTemplate, *file.find(kJinjaTemplate));
}

// Another model's vocabulary would give wrong ids without any error.
void check_tokenizer(const ModelSource& source) {
    if (!source.has(kImageContext)) return;
    const std::vector<std::string> tokens = source.texts(kTokens);
    const int64_t id = source.integer(kImageContext);
    if (id >= 0 && id < static_cast<int64_t>(tokens.size()) &&
        tokens[static_cast<size_t>(id)] == "<IMG_CONTEXT>") {
        return;
    }
    throw Error(ErrorKind::model_file,
                "[tokenizer] expected '<IMG_CONTEXT>' to be token " + std::to_string(id) +
                    ", as in " + source.describe() +
                    "; found that the tokenizer given has it elsewhere; give the "
                    "tokenizer of this model");
}

// A decoder may choose any row of its embedding, so each gets a token, be it a meaningless one.
void pad_vocabulary(ModelSource& source) {
    constexpr int64_t kMost = 65536;  // rows; published models have some hundreds
    const auto embedding = source.tensors().find(std::string(kTokenEmbedding) + ".weight");
    if (embedding == source.tensors().end() || !source.has(kTokens)) return;
    const int64_t n_rows = embedding->second.ne[1];
    std::vector<std::string> tokens = source.texts(kTokens);
    const int64_t n_tokens = static_cast<int64_t>(tokens.size());
    if (n_rows <= n_tokens || n_rows - n_tokens > kMost) return;
    std::vector<int64_t> types(tokens.size(), static_cast<int64_t>(TokenType::normal));
    if (source.has(kTokenTypes)) types = source.integers(kTokenTypes);
    types.resize(static_cast<size_t>(n_rows), static_cast<int64_t>(TokenType::unused));
    for (int64_t id = n_tokens; id < n_rows; ++id) {
        tokens.push_back("[PAD" + std::to_string(id) + "]");
    }
    if (source.has(kTokenScores)) {
        std::vector<double> scores = source.reals(kTokenScores);
        scores.resize(tokens.size(), -1000.0);  // as llama.cpp's converter has it
        source.deduce(kTokenScores, scores);
    }
    source.deduce(kTokens, tokens);
    source.deduce(kTokenTypes, types);
}

// The tables that are added to activations, which kernels want in float32.
void check_tables(const ModelSource& source) {
    for (const char* name : {kClassEmbedding, kPositionEmbedding}) {
        const auto found = source.tensors().find(std::string(name));
        if (found == source.tensors().end() || found->second.type == GGML_TYPE_F32) continue;
        throw Error(ErrorKind::model_file, "[weights] expected '" + std::string(name) +
                                               "' in f32; found that " + source.describe() +
                                               " has it in " + ggml_type_name(found->second.type) +
                                               "; quantise the model again without this tensor");
    }
}

}  // namespace

std::string canonical_name(const GgufFile& main, const std::string& theirs) {
    return is_crispembed(main) ? crispembed_canonical_name(theirs) : theirs;
}

void read_dialect(ModelSource& source, const DialectFiles& files) {
    check_roles(files);
    for (const auto& part : files.main) source.add_file(part);
    for (const auto& part : files.mmproj) source.add_file(part);
    if (files.tokenizer) use_tokenizer(source, *files.tokenizer);
    const GgufFile& main = *files.main.front();
    if (is_single(main)) {
        read_single(source, files);
    } else if (is_crispembed(main)) {
        read_crispembed(source, files);
    } else {
        read_llamacpp(source, files);
    }
    check_tables(source);
    pad_vocabulary(source);
    if (files.tokenizer) check_tokenizer(source);
}

ModelSource ModelSource::open(const std::string& path, const std::string& mmproj,
                              const std::string& tokenizer, FileAccess access) {
    DialectFiles files;
    files.main = open_parts(path, access);
    if (!mmproj.empty()) files.mmproj = open_parts(mmproj, access);
    if (!tokenizer.empty()) files.tokenizer = std::make_shared<const GgufFile>(tokenizer);
    ModelSource source;
    read_dialect(source, files);
    return source;
}

ModelSource ModelSource::open(FileBytes bytes, FileBytes mmproj) {
    DialectFiles files;
    files.main = {std::make_shared<const GgufFile>(bytes)};
    if (mmproj.data != nullptr) files.mmproj = {std::make_shared<const GgufFile>(mmproj)};
    ModelSource source;
    read_dialect(source, files);
    return source;
}

}  // namespace crispvl
