// How strips of text lines fill one tile of a model.
#pragma once

#include <cstdint>
#include <optional>

namespace crispvl::lines {

// Strips are under each other on a tile, one to a row of image tokens, the first at the top; short
// ones may share a row.
struct StripFormat {
    int64_t tile_px;    // edge of the tile
    int64_t n_rows;     // strips of a tile
    int64_t pitch_px;   // from one strip to the next
    int64_t height_px;  // of a strip: a line from its ascenders to its descenders
    int64_t left_px;    // white to the left of a strip, and at least as much to its right
    int64_t gap_px;     // white between strips that share a row; 0: none do

    int64_t width_px() const { return tile_px - 2 * left_px; }  // of the widest strip
    // Where a strip of some height begins, in the middle of its row.
    int64_t top_px(int64_t i_row, int64_t strip_px) const {
        return i_row * pitch_px + (pitch_px - strip_px) / 2;
    }
};

// What a model's file says of its strips.
struct StripHints {
    std::optional<int64_t> n_rows, pitch_px, height_px, left_px, gap_px;
};

// What a model was trained for, or else what its tiles suggest: a strip takes one row of image
// tokens but for a pixel above and below, which keeps each token to one line.
// Throws Error{model_file} for strips that do not fit the tile.
StripFormat strip_format(int64_t tile_px, int64_t tokens_per_tile, const StripHints& hints);

}  // namespace crispvl::lines
