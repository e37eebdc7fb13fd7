// Where the text of a page is: its lines, words and blocks in reading order, without reading them.
//
// The way from pixels to lines: one grey channel at about 200 dpi (grey), paper and ink (ink),
// which way the text runs (skew), rules taken out (rules), connected components (components),
// lines from letters (lines, text_line, gutters), words (words), blocks and their order (blocks).
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "base/interrupt.h"
#include "image/pixels.h"
#include "layout/geometry.h"

namespace crispvl {

// Corners in px of the page: top left, top right, bottom right, bottom left, as the text runs.
using Quad = std::array<layout::Point, 4>;

struct LayoutWord {
    float from, to;  // px along the line, from the left edge of its quad
    Quad quad;       // of its ink
    float density;   // share of the quad that is ink
};

struct LayoutCell {
    int row, column;
};

struct LayoutLine {
    Quad quad;                              // of its ink: highest ascender to lowest descender
    std::array<layout::Point, 2> baseline;  // at the left and right edge of the quad
    float x_height;                         // px
    float stroke;                           // mean width of its strokes, px
    float band_above, band_below;  // px over and under the baseline that a strip of it shows
    bool inverse;                  // light on dark
    bool colon;                    // nothing but a colon, which needs no reading
    // How far over and under the baseline other lines have no ink, at steps along the line; px
    std::vector<float> room_over, room_under;
    float room_step;
    int block;
    std::optional<LayoutCell> cell;  // within a table
    std::vector<LayoutWord> words;
};

struct LayoutBlock {
    enum class Kind { text, table } kind;
    Quad quad;
    std::vector<int> lines;  // in reading order
};

struct Layout {
    int64_t width, height;  // px
    double angle_degrees;   // of the upright page: lines descend to the right where positive
    int quarter_turns;      // clockwise, 0 to 3, that make the page upright
    std::vector<LayoutLine> lines;    // in reading order
    std::vector<LayoutBlock> blocks;  // in reading order
    std::vector<Quad> rules, pictures;
};

// Finds the text of a page. A page without any has no lines. Deterministic; memory is bounded by
// about 100 bytes per px of the working image, which has at most 5 million.
// Throws Error{image} for a page without pixels, Error{cancelled}.
Layout find_layout(const PixelView& page, Interrupt* interrupt = nullptr);

}  // namespace crispvl
