// What a session was given so far, for models that rotate all keys anew from some length on.
#pragma once

#include <cstdint>
#include <vector>

namespace crispvl {

class History {
public:
    struct Piece {
        std::vector<int32_t> ids;
        std::vector<float> rows;  // embeddings of its image tokens; empty: it has none
    };

    void append(const std::vector<int32_t>& ids, std::vector<float> rows);
    // Keeps the first `n_tokens`. Embeddings are `width` wide and belong to tokens `image_id`.
    void truncate(int64_t n_tokens, int32_t image_id, int64_t width);
    const std::vector<Piece>& pieces() const { return pieces_; }

private:
    std::vector<Piece> pieces_;
};

}  // namespace crispvl
