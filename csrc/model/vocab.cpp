#include "model/vocab.h"

#include "gguf/schema.h"
#include "model/config_values.h"

namespace crispvl {
namespace {

using namespace schema;

// Four times the largest vocabulary; bounds the memory for tokens that the file does not name.
constexpr int64_t kMostRows = int64_t{1} << 20;

int32_t optional_id(const ModelSource& source, const char* key) {
    return source.has(key) ? static_cast<int32_t>(source.integer(key)) : -1;
}

// The core's SentencePiece normalises nothing, as InternLM's models ask; others must not pass.
void check_normaliser(const ModelSource& source) {
    if (optional_flag(source, kRemoveExtraWhitespaces)) {
        throw invalid_value(source, kRemoveExtraWhitespaces, "false", "true");
    }
    if (source.has(kCharsmap) && !source.integers(kCharsmap).empty()) {
        throw invalid_value(source, kCharsmap, "empty", "a normaliser's table");
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
