// Which rows of lines make a table, and the cell of each line.
#pragma once

#include <map>
#include <optional>

#include "lines/typography.h"

namespace crispvl::lines {

// The cells of lines, by their numbers on the page; rows and columns are counted from 0.
using Cells = std::map<int, LayoutCell>;

// The cell of each line where rows, from left to right and from the upper to the lowest, make a
// table; none where they do not. The layout knows the cells between rules; others are told by how
// lines are aligned: white runs through all rows between at least three columns.
std::optional<Cells> cells_of(const std::vector<LayoutLine>& lines, const Rows& rows);

}  // namespace crispvl::lines
