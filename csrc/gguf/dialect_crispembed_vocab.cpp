// Vocabularies of CrispEmbed files. Its converter writes pieces by id, scores where the checkpoint
// had a SentencePiece model, and types that are all 0; its merger copies llama.cpp's keys.
#include <algorithm>
#include <cctype>
#include <initializer_list>

#include "base/error.h"
#include "gguf/dialect_crispembed.h"
#include "gguf/dialect_deduce.h"
#include "gguf/schema.h"
#include "text/tokenizer.h"

namespace crispvl::crispembed {
namespace {

using namespace dialect;
using namespace schema;

constexpr const char* kSpaceMark = "\xE2\x96\x81";   // U+2581, SentencePiece's space
constexpr const char* kByteLevelSpace = "\xC4\xA0";  // U+0120, the space of byte-level BPE

bool any_contains(const std::vector<std::string>& tokens, const char* mark) {
    return std::any_of(tokens.begin(), tokens.end(), [&](const std::string& token) {
        return token.find(mark) != std::string::npos;
    });
}

// U+2581 is no letter of the byte-level alphabet, so it tells the families apart.
std::string family(const ModelSource& source, const std::vector<std::string>& tokens) {
    if (source.has(kMerges)) return "gpt2";
    if (source.has(kTokenScores) || any_contains(tokens, kSpaceMark)) return "llama";
    if (any_contains(tokens, kByteLevelSpace)) return "gpt2";
    throw Error(ErrorKind::model_file,
                "[tokenizer] expected a byte-level or SentencePiece vocabulary; found " +
                    source.describe() +
                    " with another; give the tokenizer of its checkpoint "
                    "(tokenizer=DIR_OR_GGUF, --tokenizer DIR_OR_GGUF)");
}

bool is_byte_piece(const std::string& token) {
    return token.size() == 6 && token.compare(0, 3, "<0x") == 0 && token[5] == '>' &&
           std::isxdigit(static_cast<unsigned char>(token[3])) &&
           std::isxdigit(static_cast<unsigned char>(token[4]));
}

// The special tokens of the published InternVL tokenizers.
bool is_control(const std::string& token) {
    constexpr const char* kMarks[] = {"<s>",           "</s>",   "<img>",  "</img>",
                                      "<IMG_CONTEXT>", "<box>",  "</box>", "<ref>",
                                      "</ref>",        "<quad>", "</quad>"};
    const auto framed = [&](const std::string& head, const std::string& tail) {
        return token.size() > head.size() + tail.size() &&
               token.compare(0, head.size(), head) == 0 &&
               token.compare(token.size() - tail.size(), tail.size(), tail) == 0;
    };
    return framed("<|", "|>") || framed("[UNUSED_TOKEN_", "]") ||
           std::find(std::begin(kMarks), std::end(kMarks), token) != std::end(kMarks);
}

std::vector<int64_t> token_types(const std::vector<std::string>& tokens, bool byte_level) {
    // What follows the first special token of a Qwen vocabulary was added after training.
    const auto base_end =
        byte_level ? std::find(tokens.begin(), tokens.end(), "<|endoftext|>") : tokens.end();
    std::vector<int64_t> types;
    types.reserve(tokens.size());
    for (auto token = tokens.begin(); token != tokens.end(); ++token) {
        const TokenType type = token->empty()          ? TokenType::unused
                               : is_control(*token)    ? TokenType::control
                               : token >= base_end     ? TokenType::user_defined
                               : byte_level            ? TokenType::normal
                               : *token == "<unk>"     ? TokenType::unknown
                               : is_byte_piece(*token) ? TokenType::byte
                                                       : TokenType::normal;
        types.push_back(static_cast<int64_t>(type));
    }
    return types;
}

// Their key where the file has it; else the token of that text. Never a default number: in Qwen's
// vocabulary the customary 1 and 2 are punctuation.
void deduce_special(ModelSource& source, const char* ours, const char* theirs,
                    const std::vector<std::string>& tokens,
                    std::initializer_list<const char*> texts) {
    if (source.has(ours)) return;
    if (source.has(theirs)) {
        source.deduce(ours, source.integer(theirs));
        return;
    }
    for (const char* text : texts) {
        const auto found = std::find(tokens.begin(), tokens.end(), text);
        if (found == tokens.end()) continue;
        source.deduce(ours, int64_t{found - tokens.begin()});
        return;
    }
}

}  // namespace

void complete_vocabulary(ModelSource& source) {
    if (source.has(kTokenizerModel)) return;  // copied from a llama.cpp file, complete
    const std::vector<std::string> tokens = source.texts(kTokens);
    const std::string model = family(source, tokens);
    const bool byte_level = model == "gpt2";
    source.deduce(kTokenizerModel, model);
    if (byte_level) deduce_if_absent(source, kTokenizerPre, std::string("qwen2"));
    source.deduce(kTokenTypes, token_types(tokens, byte_level));
    deduce_special(source, kBosId, "internvl2.tokenizer.bos_id", tokens, {"<s>"});
    deduce_special(source, kEosId, "internvl2.tokenizer.eos_id", tokens,
                   {"</s>", "<|im_end|>", "<|endoftext|>"});
    if (!byte_level) deduce_special(source, kUnknownId, "", tokens, {"<unk>"});
    // Their converter writes true where the checkpoint says nothing; without a BOS there is none.
    const char* add_bos = "internvl2.tokenizer.add_bos_token";
    const bool wanted = source.has(add_bos) ? source.boolean(add_bos) : !byte_level;
    source.deduce(kAddBos, wanted && source.has(kBosId));
    deduce_if_absent(source, kAddSpacePrefix, false);  // as the InternLM models have it
}

}  // namespace crispvl::crispembed
