#include "model/distinct_tiles.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

namespace crispvl {

DistinctTiles::DistinctTiles(const uint8_t* tiles, int64_t n_tiles, int64_t n_bytes, bool shares)
    : tiles_(tiles) {
    std::unordered_map<std::string_view, int64_t> numbers;
    for (int64_t i = 0; i < n_tiles; ++i) {
        const auto* pixels = reinterpret_cast<const char*>(tiles + i * n_bytes);
        const auto [at, is_new] =
            numbers.try_emplace({pixels, static_cast<size_t>(n_bytes)}, size());
        of_.push_back(is_new || !shares ? size() : at->second);
        if (of_.back() == size()) first_.push_back(i);
    }
    if (size() == n_tiles) return;
    for (const int64_t i : first_) {
        copies_.insert(copies_.end(), tiles + i * n_bytes, tiles + (i + 1) * n_bytes);
    }
}

int64_t DistinctTiles::n_known(int64_t n_distinct) const {
    return std::count_if(of_.begin(), of_.end(), [&](int64_t i) { return i < n_distinct; });
}

std::vector<float> DistinctTiles::for_all(std::vector<float> values) const {
    if (size() == n_tiles()) return values;
    const auto d_tile = static_cast<std::ptrdiff_t>(values.size()) / size();
    std::vector<float> all;
    all.reserve(static_cast<size_t>(d_tile * n_tiles()));
    for (const int64_t i : of_) {
        const auto from = values.begin() + i * d_tile;
        all.insert(all.end(), from, from + d_tile);
    }
    return all;
}

}  // namespace crispvl
