#include "text/piece_trie.h"

#include <string>

#include "base/error.h"
#include "base/utf8.h"

namespace crispvl {
namespace {

// A search takes up to this many steps for each byte of a text; real pieces have a tenth of it.
constexpr size_t kMaxPieceBytes = 256;

}  // namespace

void PieceTrie::add(std::string_view piece, int32_t id) {
    if (piece.empty()) return;
    if (piece.size() > kMaxPieceBytes) {
        throw Error(ErrorKind::model_file,
                    "[tokenizer] expected a control or user-defined token of at most " +
                        std::to_string(kMaxPieceBytes) + " bytes; found token " +
                        std::to_string(id) + " of " + std::to_string(piece.size()) +
                        ", which begins with '" + repair_utf8(piece.substr(0, 40)) +
                        "'; look where the file comes from");
    }
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
