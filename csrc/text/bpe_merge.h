// The merging loop of byte pair encoding, shared by both kinds of tokenizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace crispvl {

// A piece of the text on its way to a token; a symbol that was merged away has no bytes left.
struct BpeSymbol {
    int32_t begin, n_bytes;  // span in the text
    int32_t id;              // token, or -1 while unknown
    int32_t previous = -1, next = -1;
};

// What two neighbours become; the lowest rank merges first.
struct BpeMerge {
    int32_t rank, id;
};

// Merges neighbours, lowest rank first and leftmost among equals, until none can be merged, and
// leaves the surviving symbols in order. O(n log n) for n symbols.
//
// `find_merge(left, right)` returns std::optional<BpeMerge> for two BpeSymbols.
template <class FindMerge>
void bpe_merge(std::vector<BpeSymbol>& symbols, FindMerge&& find_merge) {
    struct Candidate {
        int32_t rank, left, n_bytes, id;  // n_bytes of both sides tell a candidate that is stale
        bool operator<(const Candidate& other) const {  // a max-heap pops the greatest
            return rank != other.rank ? rank > other.rank : left > other.left;
        }
    };
    std::priority_queue<Candidate> queue;
    const auto at = [&symbols](int32_t i) -> BpeSymbol& { return symbols[static_cast<size_t>(i)]; };
    const auto consider = [&](int32_t left) {
        if (left < 0 || at(left).next < 0) return;
        const BpeSymbol& right = at(at(left).next);
        if (const std::optional<BpeMerge> merge = find_merge(at(left), right)) {
            queue.push({merge->rank, left, at(left).n_bytes + right.n_bytes, merge->id});
        }
    };

    const auto n_symbols = static_cast<int32_t>(symbols.size());
    for (int32_t i = 0; i < n_symbols; ++i) {
        at(i).previous = i - 1;
        at(i).next = i + 1 < n_symbols ? i + 1 : -1;
    }
    for (int32_t i = 0; i < n_symbols; ++i) consider(i);

    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        BpeSymbol& left = at(best.left);
        if (left.n_bytes == 0 || left.next < 0) continue;
        BpeSymbol& right = at(left.next);
        if (left.n_bytes + right.n_bytes != best.n_bytes) continue;
        left.n_bytes = best.n_bytes;
        left.id = best.id;
        left.next = right.next;
        right.n_bytes = 0;
        if (left.next >= 0) at(left.next).previous = best.left;
        consider(left.previous);
        consider(best.left);
    }

    size_t n_kept = 0;
    for (const BpeSymbol& symbol : symbols) {
        if (symbol.n_bytes > 0) symbols[n_kept++] = symbol;
    }
    symbols.resize(n_kept);
}

}  // namespace crispvl
