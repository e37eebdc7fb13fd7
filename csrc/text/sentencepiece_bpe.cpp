// SentencePiece's BPE (Kudo and Richardson 2018; the library's bpe_model.cc is the reference): the
// neighbours whose joined piece has the highest score merge first; a character without a piece
// becomes one token per byte. The normaliser is the identity, as in the published InternLM models.
#include "text/sentencepiece_bpe.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "base/utf8.h"
#include "text/bpe_merge.h"

namespace crispvl {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, which means a space in a piece

std::string escape_spaces(std::string_view text) {
    std::string escaped;
    escaped.reserve(text.size() * 5 / 4);
    for (const char c : text) {
        if (c == ' ') {
            escaped += kSpace;
        } else {
            escaped.push_back(c);
        }
    }
    return escaped;
}

std::string unescape_spaces(std::string_view text) {
    std::string plain;
    for (size_t at = 0; at < text.size();) {
        const bool is_space = text.substr(at, kSpace.size()) == kSpace;
        plain.push_back(is_space ? ' ' : text[at]);
        at += is_space ? kSpace.size() : 1;
    }
    return plain;
}

// The byte of a piece "<0xNN>".
std::optional<unsigned char> byte_of(const std::string& piece) {
    const auto digit = [&piece](size_t i) {
        const char c = piece[i];
        return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    const bool is_byte = piece.size() == 6 && piece.compare(0, 3, "<0x") == 0 && piece[5] == '>' &&
                         digit(3) >= 0 && digit(4) >= 0;
    return is_byte ? std::optional(static_cast<unsigned char>(digit(3) * 16 + digit(4)))
                   : std::nullopt;
}

// The rank of each piece by falling score; equal scores have equal ranks.
std::vector<int32_t> rank_by_score(const std::vector<float>& scores, size_t n_tokens) {
    std::vector<int32_t> ranks(n_tokens);
    std::iota(ranks.begin(), ranks.end(), 0);
    if (scores.empty()) return ranks;
    std::vector<int32_t> order = ranks;
    const auto score = [&scores](int32_t id) { return scores[static_cast<size_t>(id)]; };
    std::sort(order.begin(), order.end(),
              [&score](int32_t a, int32_t b) { return score(a) > score(b); });
    int32_t rank = 0;
    for (size_t i = 0; i < n_tokens; ++i) {
        if (i > 0 && score(order[i]) < score(order[i - 1])) ++rank;
        ranks[static_cast<size_t>(order[i])] = rank;
    }
    return ranks;
}

}  // namespace

SentencePieceBpe::SentencePieceBpe(VocabData data) : Tokenizer(std::move(data)) {
    for (const float score : vocab().scores) {
        if (std::isnan(score))
            refuse_vocabulary("expected numbers in 'tokenizer.ggml.scores'; found a NaN");
    }
    ranks_ = rank_by_score(vocab().scores, vocab().tokens.size());
    byte_ids_.fill(-1);
    text_ids_.reserve(vocab().tokens.size());
    for (int32_t id = 0; id < size(); ++id) {
        if (type(id) == TokenType::byte) {
            const std::optional<unsigned char> byte = byte_of(piece(id));
            if (!byte) {
                refuse_vocabulary("expected a byte token like '<0x0A>'; found as token " +
                                  std::to_string(id) + " '" + repair_utf8(piece(id).substr(0, 80)) +
                                  "'");
            }
            byte_ids_[*byte] = id;
        } else if (!piece(id).empty() && type(id) != TokenType::control &&
                   type(id) != TokenType::unknown) {
            text_ids_.emplace(piece(id), id);
            if (type(id) == TokenType::user_defined) user_defined_.add(piece(id), id);
        }
    }
    has_all_bytes_ =
        std::all_of(byte_ids_.begin(), byte_ids_.end(), [](int32_t i) { return i >= 0; });
    if (!has_all_bytes_ && vocab().unk_id < 0) {
        refuse_vocabulary(
            "expected a vocabulary with a token for every byte or an unknown token; found "
            "neither");
    }
}

std::string SentencePieceBpe::normalise(std::string_view text, bool is_start) const {
    if (text.empty()) return {};
    std::string escaped = escape_spaces(text);
    if (!vocab().add_space_prefix) return escaped;
    // Where only the start has the space, one that is there serves (tokenizers' Metaspace).
    const bool has_one = escaped.compare(0, kSpace.size(), kSpace) == 0;
    if (vocab().prefix_at_start && (!is_start || has_one)) return escaped;
    return std::string(kSpace) + escaped;
}

// User-defined pieces, which stay whole, and single characters.
std::vector<BpeSymbol> SentencePieceBpe::split(std::string_view text) const {
    std::vector<BpeSymbol> symbols;
    symbols.reserve(text.size());
    for (size_t at = 0; at < text.size();) {
        const std::string_view rest = text.substr(at);
        PieceTrie::Match match = user_defined_.longest_match(rest, [](int32_t) { return true; });
        if (match.id < 0) match.n_bytes = utf8_step(rest).n_bytes;
        symbols.push_back(
            {static_cast<int32_t>(at), static_cast<int32_t>(match.n_bytes), match.id});
        at += match.n_bytes;
    }
    return symbols;
}

void SentencePieceBpe::encode_text(std::string_view text, bool is_start,
                                   std::vector<int32_t>& ids) const {
    const std::string normalised = normalise(text, is_start);
    const std::string_view all = normalised;
    const auto is_whole = [this](const BpeSymbol& symbol) {
        return symbol.id >= 0 && type(symbol.id) == TokenType::user_defined;
    };

    UnusedPieces unused;
    std::vector<BpeSymbol> symbols = split(all);
    bpe_merge(symbols, [&](const BpeSymbol& left, const BpeSymbol& right) {
        const int32_t n_bytes = left.n_bytes + right.n_bytes;
        const auto joined =
            all.substr(static_cast<size_t>(left.begin), static_cast<size_t>(n_bytes));
        const int32_t id = is_whole(left) || is_whole(right) ? -1 : text_id(joined);
        if (id >= 0 && type(id) == TokenType::unused) unused[id] = left.n_bytes;
        return id < 0 ? std::nullopt : std::optional(BpeMerge{ranks_[static_cast<size_t>(id)], id});
    });

    std::vector<int32_t> own;
    for (const BpeSymbol& symbol : symbols) {
        const auto begin = static_cast<size_t>(symbol.begin);
        append_ids(all.substr(begin, static_cast<size_t>(symbol.n_bytes)), unused, own);
    }
    ids.insert(ids.end(), own.begin(), own.end());
}

void SentencePieceBpe::append_ids(std::string_view piece, const UnusedPieces& unused,
                                  std::vector<int32_t>& ids) const {
    std::vector<std::string_view> parts = {piece};  // the leftmost is the last
    while (!parts.empty()) {
        const std::string_view part = parts.back();
        parts.pop_back();
        const int32_t id = text_id(part);
        const auto falls_apart = unused.find(id);
        if (falls_apart != unused.end()) {
            const auto n_left = static_cast<size_t>(falls_apart->second);
            parts.push_back(part.substr(n_left));
            parts.push_back(part.substr(0, n_left));
        } else if (id >= 0 && type(id) != TokenType::unused) {
            ids.push_back(id);
        } else if (has_all_bytes_) {
            for (const char c : part) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
        } else if (ids.empty() || ids.back() != vocab().unk_id) {
            ids.push_back(vocab().unk_id);  // one for a run of unknown characters
        }
    }
}

int32_t SentencePieceBpe::text_id(std::string_view piece) const {
    const auto found = text_ids_.find(piece);
    return found == text_ids_.end() ? -1 : found->second;
}

std::string SentencePieceBpe::text_bytes(int32_t id) const {
    if (type(id) == TokenType::byte) return std::string(1, static_cast<char>(*byte_of(piece(id))));
    return unescape_spaces(piece(id));
}

}  // namespace crispvl
