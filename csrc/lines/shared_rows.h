// Rows of an answer that belong to several strips, which are beside each other on a tile.
#pragma once

#include <vector>

#include "lines/rows.h"
#include "lines/strips.h"

namespace crispvl::lines {

// What of a row belongs to each of the strips that it was read for, from left to right; nothing
// where the words do not tell. Each strip has its own scale: `widths` are those on the tile, px, of
// which a strip's words of ink have their share.
std::vector<Row> parts_of(const Row& row, const StripRow& strips,
                          const std::vector<int64_t>& widths);

}  // namespace crispvl::lines
