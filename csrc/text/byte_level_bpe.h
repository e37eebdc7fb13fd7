// Byte-level BPE (GPT-2's, with the pre-tokeniser that the file names): the Qwen vocabularies.
#pragma once

#include <array>

#include "text/pretokenizer.h"
#include "text/tokenizer.h"

namespace crispvl {

class ByteLevelBpe final : public Tokenizer {
public:
    explicit ByteLevelBpe(VocabData data);

private:
    struct Merge {
        int32_t rank, id;
    };

    void read_merges();
    void encode_text(std::string_view text, bool is_start,
                     std::vector<int32_t>& ids) const override;
    void encode_word(std::string_view word, std::vector<int32_t>& ids) const;
    std::string text_bytes(int32_t id) const override;

    const PreTokenizer* pre_tokenizer_;
    std::array<int32_t, 256> byte_ids_;                           // -1: no token for this byte
    std::vector<std::string> bytes_;                              // id -> bytes
    std::unordered_map<std::string_view, int32_t> ids_of_bytes_;  // normal tokens, views of bytes_
    std::unordered_map<uint64_t, Merge> merges_;                  // by the ids of left and right
};

}  // namespace crispvl
