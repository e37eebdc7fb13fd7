// Lines to blocks, and blocks to reading order.
#pragma once

#include <string>

#include "layout/tables.h"

namespace crispvl::layout {

struct TextBlock {
    bool table = false;
    Box box;
    std::vector<int> lines;  // in reading order
};

// Sorts the lines into reading order, and sets their blocks; each table is one.
std::vector<TextBlock> find_blocks(const std::vector<Table>& tables, std::vector<TextLine>& lines);

}  // namespace crispvl::layout
