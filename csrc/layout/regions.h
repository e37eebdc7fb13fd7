// A page cut at its white space, as far as its print needs to be seen larger.
#pragma once

#include <vector>

#include "image/tiling.h"
#include "layout/layout.h"

namespace crispvl {

// px of the page; right and bottom are the first outside.
struct Region {
    double left, top, right, bottom;
};

// Whether a page's print is large enough on the tiles of the whole page to be read well, as is a
// page without lines.
bool is_legible(const Layout& layout, const TilingConfig& tiling);

// The parts of a page that are shown by themselves, in reading order; one where it is legible as it
// is. The cuts are those of the XY-cut (Nagy and Seth 1984): at the widest gap across all that is
// left, of rows or of columns, again and again.
std::vector<Region> find_regions(const Layout& layout, const TilingConfig& tiling);

}  // namespace crispvl
