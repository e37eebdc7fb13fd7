// Dynamic tiling: a page becomes a grid of square tiles, plus a thumbnail of the whole page.
// Follows python/crispvl/tiling.py, which names the published recipe, to the byte.
#pragma once

#include "image/pixels.h"

namespace crispvl {

// More tiles than any model was trained with; bounds the memory of one page.
inline constexpr int64_t kMostTiles = 1024;

struct TilingConfig {
    int64_t tile_px;               // edge of a tile
    int64_t min_tiles, max_tiles;  // the thumbnail not counted
    bool thumbnail;                // appended where there is more than one tile
    bool multi_scale = false;      // cut once more, into a grid without an edge of the first one
};

struct Grid {
    int64_t columns, rows;
};

// The grid whose aspect ratio is closest to that of a page. Throws Error{argument}.
// With more than one tile at least, two grids of one area can be equally close; then the one with
// fewer columns comes first (the reference leaves that to the order of a Python set).
Grid choose_grid(int64_t width, int64_t height, const TilingConfig& config);

struct Tiles {
    Grid grid;        // the first one
    int64_t n_tiles;  // the thumbnail included
    // [n_tiles, tile_px, tile_px, 3], rows first, thumbnail last; a second grid's before the
    // first's
    std::vector<uint8_t> pixels;
};

// Cuts a page into tiles. Throws Error{argument}.
Tiles tile_image(const RgbImage& page, const TilingConfig& config);

}  // namespace crispvl
