// Text lines cut into strips that fit on a tile, and tiles made of strips.
#pragma once

#include <vector>

#include "image/pixel_view.h"
#include "layout/layout.h"
#include "lines/strip_format.h"

namespace crispvl::lines {

// Start and end, px along a line.
struct Span {
    double from, to;
};

// A part of a text line.
struct Strip {
    int i_line;  // its line's number on the page
    double x_from, x_to;
    std::vector<Span> words;  // of ink, within
    int i_word;               // number of the first of them in the line
    bool within_word;         // it goes on with the word in which the strip before it was cut off
    double scale;             // of its height to that of other strips

    double width() const { return x_to - x_from; }
};

double band_px(const LayoutLine& line);

// Cuts a line into the fewest strips that a tile holds, between words, of like widths. `scale`: of
// their height, to which strips may be made smaller where that makes them fewer.
std::vector<Strip> cut_into_strips(const PixelView& page, int i_line, const LayoutLine& line,
                                   const StripFormat& form, double scale);

// How strips are drawn: `scale`, at most 1, is of their heights, `stretch`, at least 1, of their
// widths besides, as far as there is room.
struct Drawing {
    double scale = 1, stretch = 1;
};

// The strips of one row of a tile, from left to right.
using StripRow = std::vector<const Strip*>;

// The width of a strip on a tile, px.
int64_t drawn_px(const LayoutLine& line, const Strip& strip, const StripFormat& form,
                 const Drawing& drawing);

struct StripTile {
    std::vector<uint8_t> pixels;  // [tile_px, tile_px, 3]
    std::vector<double> aspects;  // of each row, from top to bottom, its width by its height

    int64_t most_tokens() const;  // of an answer to it
};

// Draws at most n_rows rows of strips of the page's lines on a tile. Throws Error{argument} for
// more.
StripTile make_tile(const PixelView& page, const std::vector<LayoutLine>& lines,
                    const std::vector<StripRow>& rows, const StripFormat& form,
                    const Drawing& drawing);

}  // namespace crispvl::lines
