// Tables: grids of rules, and rows whose parts are aligned.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

struct Table {
    Box box;
    int n_rows = 0, n_columns = 0;
    std::vector<int> lines;  // row by row, and from left to right
};

// Finds tables of two or more rows and columns and sets the row and column of their lines. Running
// text in columns is none.
std::vector<Table> find_tables(const std::vector<Box>& rules, int text_height,
                               std::vector<TextLine>& lines);

}  // namespace crispvl::layout
