#include "text/piece_trie.h"

namespace crispvl {

void PieceTrie::add(std::string_view piece, int32_t id) {
    if (piece.empty()) return;
    begins_[static_cast<unsigned char>(piece[0])] = true;
    uint32_t node = 0;
    for (const char byte : piece) {
        const auto [child, is_new] =
            children_.emplace(edge(node, byte), static_cast<uint32_t>(ids_.size()));
        if (is_new) ids_.push_back(-1);
        node = child->second;
    }
    if (ids_[node] < 0) ids_[node] = id;
}

}  // namespace crispvl
