#include "image/tiling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "base/error.h"
#include "image/resize.h"

namespace crispvl {
namespace {

constexpr int64_t k_max_tile_px = 4096;

void check(int64_t width, int64_t height, const TilingConfig& config) {
    if (width < 1 || height < 1 || config.tile_px < 1 || config.tile_px > k_max_tile_px) {
        throw Error(ErrorKind::argument,
                    "[tiling] expected a page of at least 1 px and tiles of 1 to " +
                        std::to_string(k_max_tile_px) + " px; found " + std::to_string(width) +
                        "x" + std::to_string(height) + " and " + std::to_string(config.tile_px) +
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

}  // namespace

Grid choose_grid(int64_t width, int64_t height, const TilingConfig& config) {
    check(width, height, config);
    const double aspect = static_cast<double>(width) / static_cast<double>(height);
    const double area = static_cast<double>(width) * static_cast<double>(height);
    const double edge = static_cast<double>(config.tile_px);
    double closest = std::numeric_limits<double>::infinity();
    Grid chosen{1, 1};
    for (int64_t n = config.min_tiles; n <= config.max_tiles; ++n) {
        for (int64_t columns = 1; columns <= n; ++columns) {
            if (n % columns != 0) continue;
            const int64_t rows = n / columns;
            const double ratio = static_cast<double>(columns) / static_cast<double>(rows);
            const double distance = std::fabs(aspect - ratio);
            // On a tie the larger grid wins where the page has pixels for at least half of it.
            const bool fills_half = area > 0.5 * edge * edge * static_cast<double>(n);
            if (distance < closest || (distance == closest && fills_half)) {
                closest = distance;
                chosen = {columns, rows};
            }
        }
    }
    return chosen;
}

Tiles tile_image(const RgbImage& page, const TilingConfig& config) {
    const Grid grid = choose_grid(page.width, page.height, config);
    const int64_t px = config.tile_px;
    const int64_t n_cut = grid.columns * grid.rows;
    const bool with_thumbnail = config.thumbnail && n_cut > 1;
    Tiles tiles{grid, n_cut + with_thumbnail, {}};
    const int64_t tile_bytes = px * px * 3;
    tiles.pixels.resize(static_cast<size_t>(tiles.n_tiles * tile_bytes));
    const RgbImage resized = resize_bicubic(page, grid.columns * px, grid.rows * px);
    for (int64_t i = 0; i < n_cut; ++i) {
        cut_tile(resized, i % grid.columns, i / grid.columns, px,
                 tiles.pixels.data() + i * tile_bytes);
    }
    if (with_thumbnail) {
        const RgbImage thumbnail = resize_bicubic(page, px, px);
        std::copy(thumbnail.pixels.begin(), thumbnail.pixels.end(),
                  tiles.pixels.end() - tile_bytes);
    }
    return tiles;
}

}  // namespace crispvl
