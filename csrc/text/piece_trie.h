// Pieces that are looked for in a text as they are: control tokens and user-defined ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace crispvl {

// A set of pieces with the longest match at a position of a text.
class PieceTrie {
public:
    struct Match {
        int32_t id = -1;  // -1: no piece begins here
        size_t n_bytes = 0;
    };

    // Adds a piece; an empty one, and the second of two equal ones, is ignored. Throws
    // Error{model_file} for a piece so long that looking for it could take forever.
    void add(std::string_view piece, int32_t id);

    // The longest piece at the start of `text` whose id `allowed` accepts.
    template <class Allowed>
    Match longest_match(std::string_view text, Allowed&& allowed) const {
        Match match;
        if (text.empty() || !begins_[static_cast<unsigned char>(text[0])]) return match;
        uint32_t node = 0;
        for (size_t i = 0; i < text.size(); ++i) {
            const auto child = children_.find(edge(node, text[i]));
            if (child == children_.end()) break;
            node = child->second;
            if (ids_[node] >= 0 && allowed(ids_[node])) match = {ids_[node], i + 1};
        }
        return match;
    }

private:
    static uint64_t edge(uint32_t node, char byte) {
        return (uint64_t{node} << 8) | static_cast<unsigned char>(byte);
    }

    std::unordered_map<uint64_t, uint32_t> children_;
    std::vector<int32_t> ids_ = {-1};  // by node; the root is node 0
    std::array<bool, 256> begins_{};   // bytes that a piece begins with
};

}  // namespace crispvl
