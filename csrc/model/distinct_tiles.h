// Tiles of which several have the same pixels, as the margins of a page: each encoded once.
#pragma once

#include <cstdint>
#include <vector>

namespace crispvl {

class DistinctTiles {
public:
    // `tiles`: uint8 [n_tiles, n_bytes], which have to outlive this. Unless it `shares`, all count
    // as different.
    DistinctTiles(const uint8_t* tiles, int64_t n_tiles, int64_t n_bytes, bool shares);

    int64_t size() const { return static_cast<int64_t>(first_.size()); }
    int64_t n_tiles() const { return static_cast<int64_t>(of_.size()); }
    // The tiles that differ, in the order of their first, one after the other.
    const uint8_t* pixels() const { return copies_.empty() ? tiles_ : copies_.data(); }
    // How many of all tiles are known once the first `n_distinct` that differ are.
    int64_t n_known(int64_t n_distinct) const;
    // Values of those that differ, as many for each, as values of all tiles.
    std::vector<float> for_all(std::vector<float> values) const;

private:
    const uint8_t* tiles_;
    std::vector<uint8_t> copies_;  // where tiles are left out
    std::vector<int64_t> first_;   // of each that differs, its first number among all tiles
    std::vector<int64_t> of_;      // of each tile, its number among those that differ
};

}  // namespace crispvl
