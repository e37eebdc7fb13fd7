#include "image/tiling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "image/resize.h"

namespace crispvl {
namespace {

constexpr int64_t kMaxTilePx = 4096;

void check(int64_t width, int64_t height, const TilingConfig& config) {
    if (width < 1 || height < 1 || config.tile_px < 1 || config.tile_px > kMaxTilePx) {
        throw Error(ErrorKind::argument,
                    "[tiling] expected a page of at least 1 px and tiles of 1 to " +
                        std::to_string(kMaxTilePx) + " px; found " + std::to_string(width) + "x" +
                        std::to_string(height) + " and " + std::to_string(config.tile_px) +
                        "; pass the image's real size");
    }
    if (config.min_tiles < 1 || config.min_tiles > config.max_tiles ||
        config.max_tiles > kMostTiles) {
        throw Error(
            ErrorKind::argument,
            "[tiling] expected 1 <= min_tiles <= max_tiles <= " + std::to_string(kMostTiles) +
                "; found " + std::to_string(config.min_tiles) + " and " +
                std::to_string(config.max_tiles) + "; raise max_tiles or lower min_tiles");
    }
}

// Copies the tile at `column`, `row` out of the resized page.
void cut_tile(const RgbImage& page, int64_t column, int64_t row, int64_t tile_px, uint8_t* to) {
    const int64_t row_bytes = tile_px * 3;
    for (int64_t y = 0; y < tile_px; ++y, to += row_bytes) {
        const int64_t at = (row * tile_px + y) * page.width + column * tile_px;
        std::copy_n(page.pixels.data() + at * 3, row_bytes, to);
    }
}

// Of the grids that `allows` the one whose aspect ratio is closest to that of a page.
template <typename Allows>
Grid closest_grid(int64_t width, int64_t height, const TilingConfig& config, int64_t min_tiles,
                  const Allows& allows) {
    const double aspect = static_cast<double>(width) / static_cast<double>(height);
    const double area = static_cast<double>(width) * static_cast<double>(height);
    const double edge = static_cast<double>(config.tile_px);
    double closest = std::numeric_limits<double>::infinity();
    Grid chosen{1, 1};
    for (int64_t n = min_tiles; n <= config.max_tiles; ++n) {
        for (int64_t columns = 1; columns <= n; ++columns) {
            const Grid grid{columns, n / columns};
            if (n % columns != 0 || !allows(grid)) continue;
            const double ratio = static_cast<double>(grid.columns) / static_cast<double>(grid.rows);
            const double distance = std::fabs(aspect - ratio);
            // On a tie the larger grid wins where the page has pixels for at least half of it.
            const bool fills_half = area > 0.5 * edge * edge * static_cast<double>(n);
            if (distance < closest || (distance == closest && fills_half)) {
                closest = distance;
                chosen = grid;
            }
        }
    }
    return chosen;
}

// See choose_second_grid() of tiling.py.
Grid choose_second_grid(int64_t width, int64_t height, const Grid& first,
                        const TilingConfig& config) {
    constexpr int64_t kFewest = 3;
    return closest_grid(width, height, config, kFewest, [&](const Grid& grid) {
        return first.columns % grid.columns != 0 && first.rows % grid.rows != 0;
    });
}

// Appends the tiles of `grid`.
void cut(const RgbImage& page, const Grid& grid, int64_t tile_px, Tiles& tiles) {
    const int64_t tile_bytes = tile_px * tile_px * 3, n_cut = grid.columns * grid.rows;
    const size_t at = tiles.pixels.size();
    tiles.pixels.resize(at + static_cast<size_t>(n_cut * tile_bytes));
    tiles.n_tiles += n_cut;
    const RgbImage resized =
        resize(page, grid.columns * tile_px, grid.rows * tile_px, Filter::bicubic);
    for (int64_t i = 0; i < n_cut; ++i) {
        cut_tile(resized, i % grid.columns, i / grid.columns, tile_px,
                 tiles.pixels.data() + at + static_cast<size_t>(i * tile_bytes));
    }
}

}  // namespace

Grid choose_grid(int64_t width, int64_t height, const TilingConfig& config) {
    check(width, height, config);
    return closest_grid(width, height, config, config.min_tiles, [](const Grid&) { return true; });
}

Tiles tile_image(const RgbImage& page, const TilingConfig& config) {
    const Grid grid = choose_grid(page.width, page.height, config);
    Tiles tiles{grid, 0, {}};
    const auto is_one = [](const Grid& g) { return g.columns * g.rows == 1; };
    if (config.multi_scale) {
        const Grid second = choose_second_grid(page.width, page.height, grid, config);
        if (!is_one(second)) cut(page, second, config.tile_px, tiles);
        if (!is_one(grid)) cut(page, grid, config.tile_px, tiles);
        cut(page, {1, 1}, config.tile_px, tiles);
        return tiles;
    }
    cut(page, grid, config.tile_px, tiles);
    if (config.thumbnail && !is_one(grid)) cut(page, {1, 1}, config.tile_px, tiles);
    return tiles;
}

}  // namespace crispvl
