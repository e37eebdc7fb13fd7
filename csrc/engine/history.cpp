#include "engine/history.h"

#include <algorithm>
#include <utility>

namespace crispvl {

void History::append(const std::vector<int32_t>& ids, std::vector<float> rows) {
    const bool joins = rows.empty() && !pieces_.empty() && pieces_.back().rows.empty();
    if (!joins) pieces_.push_back({{}, std::move(rows)});
    std::vector<int32_t>& last = pieces_.back().ids;
    last.insert(last.end(), ids.begin(), ids.end());
}

void History::truncate(int64_t n_tokens, int32_t image_id, int64_t width) {
    size_t n_left = static_cast<size_t>(n_tokens), n_pieces = 0;
    for (Piece& piece : pieces_) {
        if (n_left == 0) break;
        ++n_pieces;
        if (piece.ids.size() > n_left) {
            piece.ids.resize(n_left);
            const auto n_images = std::count(piece.ids.begin(), piece.ids.end(), image_id);
            if (!piece.rows.empty()) piece.rows.resize(static_cast<size_t>(n_images * width));
        }
        n_left -= piece.ids.size();
    }
    pieces_.resize(n_pieces);
}

}  // namespace crispvl
