// SentencePiece BPE with byte fallback: the InternLM vocabularies.
#pragma once

#include <array>

#include "text/tokenizer.h"

namespace crispvl {

struct BpeSymbol;

class SentencePieceBpe final : public Tokenizer {
public:
    explicit SentencePieceBpe(VocabData data);

private:
    // Unused pieces met while merging, with the bytes of their left part: such a piece may be a
    // step to a longer one but no result, it falls apart again.
    using UnusedPieces = std::unordered_map<int32_t, int32_t>;

    std::string normalise(std::string_view text, bool is_start) const;
    std::vector<BpeSymbol> split(std::string_view text) const;
    void encode_text(std::string_view text, bool is_start,
                     std::vector<int32_t>& ids) const override;
    void append_ids(std::string_view piece, const UnusedPieces& unused,
                    std::vector<int32_t>& ids) const;
    int32_t text_id(std::string_view piece) const;  // -1: no piece that text can become
    std::string text_bytes(int32_t id) const override;
    bool drops_first_space() const override { return vocab().add_space_prefix; }

    std::unordered_map<std::string_view, int32_t> text_ids_;  // pieces that text can become
    std::vector<int32_t> ranks_;                              // by id: 0 merges first
    PieceTrie user_defined_;
    std::array<int32_t, 256> byte_ids_;  // -1: no token for this byte
    bool has_all_bytes_ = false;
};

}  // namespace crispvl
