// Byte-level BPE. A piece is spelt in an alphabet of 256 printable characters, one per byte (GPT-2,
// Radford et al. 2019, `bytes_to_unicode`); merges are ranked by the file's list or, where there
// is none, by the id of the joined piece (as in tiktoken).
#include "text/byte_level_bpe.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "text/bpe_merge.h"
#include "text/unicode.h"

namespace crispvl {
namespace {

// The bytes that stand for themselves in the alphabet: printable and not a space.
bool stands_for_itself(char32_t byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xFF && byte != 0xAD);
}

// character -> byte; the other bytes, in order, are the characters from U+0100 on.
std::unordered_map<char32_t, char> make_alphabet() {
    std::unordered_map<char32_t, char> alphabet;
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        alphabet.emplace(stands_for_itself(byte) ? byte : next++, static_cast<char>(byte));
    }
    return alphabet;
}

// The bytes that a piece spells, or the piece itself where it is not in the alphabet.
std::string spelt_bytes(const std::string& piece) {
    static const std::unordered_map<char32_t, char> alphabet = make_alphabet();
    std::string bytes;
    for (std::string_view rest = piece; !rest.empty();) {
        const Utf8Step step = utf8_step(rest);
        const auto letter = alphabet.find(step.code_point);
        if (step.status != Utf8Status::complete || letter == alphabet.end()) return piece;
        bytes.push_back(letter->second);
        rest.remove_prefix(step.n_bytes);
    }
    return bytes;
}

uint64_t pair_key(int32_t left, int32_t right) {
    return (uint64_t{static_cast<uint32_t>(left)} << 32) | static_cast<uint32_t>(right);
}

}  // namespace

ByteLevelBpe::ByteLevelBpe(VocabData data)
    : Tokenizer(std::move(data)), pre_tokenizer_(&find_pre_tokenizer(vocab().pre)) {
    byte_ids_.fill(-1);
    bytes_.resize(vocab().tokens.size());
    ids_of_bytes_.reserve(vocab().tokens.size());
    for (int32_t id = 0; id < size(); ++id) {
        std::string& bytes = bytes_[static_cast<size_t>(id)];
        if (is_control(id)) continue;
        if (type(id) == TokenType::user_defined) {
            bytes = piece(id);
            find_in_text(id);
            continue;
        }
        bytes = spelt_bytes(piece(id));
        const bool is_new = !bytes.empty() && ids_of_bytes_.emplace(bytes, id).second;
        if (is_new && bytes.size() == 1) byte_ids_[static_cast<unsigned char>(bytes[0])] = id;
    }
    read_merges();
}

void ByteLevelBpe::read_merges() {
    merges_.reserve(vocab().merges.size());
    int32_t rank = 0;
    for (const std::string& merge : vocab().merges) {
        const size_t space = merge.find(' ');
        int32_t left = -1, right = -1, joined = -1;
        if (space != std::string::npos) {
            const std::string first = merge.substr(0, space), second = merge.substr(space + 1);
            left = find(first);
            right = find(second);
            joined = find(first + second);
        }
        if (left < 0 || right < 0 || joined < 0) {
            refuse_vocabulary(
                "expected two pieces, their joint also a piece, with a space between them in each "
                "of 'tokenizer.ggml.merges'; found as entry " +
                std::to_string(rank) + " '" + repair_utf8(merge.substr(0, 80)) + "'");
        }
        merges_.emplace(pair_key(left, right), Merge{rank++, joined});
    }
}

void ByteLevelBpe::encode_text(std::string_view text, bool /*is_start*/,
                               std::vector<int32_t>& ids) const {
    std::string normalised;
    if (pre_tokenizer_->nfc) text = normalised = to_nfc(text);
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = pre_tokenizer_->word_end(text, begin);
        encode_word(text.substr(begin, end - begin), ids);
        begin = end;
    }
}

void ByteLevelBpe::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
    if (pre_tokenizer_->whole_words) {
        const auto found = ids_of_bytes_.find(word);
        if (found != ids_of_bytes_.end()) return ids.push_back(found->second);
    }
    std::vector<BpeSymbol> symbols;
    symbols.reserve(word.size());
    for (const char c : word) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte_ids_[byte] < 0) {
            refuse_vocabulary("expected a vocabulary with a token for every byte; found none for " +
                              std::to_string(byte));
        }
        symbols.push_back({static_cast<int32_t>(symbols.size()), 1, byte_ids_[byte]});
    }
    if (vocab().merges.empty()) {
        bpe_merge(symbols, [&](const BpeSymbol& left, const BpeSymbol& right) {
            const auto begin = static_cast<size_t>(left.begin);
            const auto n_bytes = static_cast<size_t>(left.n_bytes + right.n_bytes);
            const auto found = ids_of_bytes_.find(word.substr(begin, n_bytes));
            return found == ids_of_bytes_.end()
                       ? std::nullopt
                       : std::optional(BpeMerge{found->second, found->second});
        });
    } else {
        bpe_merge(symbols, [&](const BpeSymbol& left, const BpeSymbol& right) {
            const auto found = merges_.find(pair_key(left.id, right.id));
            return found == merges_.end()
                       ? std::nullopt
                       : std::optional(BpeMerge{found->second.rank, found->second.id});
        });
    }
    for (const BpeSymbol& symbol : symbols) ids.push_back(symbol.id);
}

std::string ByteLevelBpe::text_bytes(int32_t id) const {
    return bytes_[static_cast<size_t>(id)];
}

}  // namespace crispvl
