// Lines to blocks, and blocks to reading order.
#pragma once

#include <string>

#include "layout/text_line.h"

namespace crispvl::layout {

struct TextBlock {
    bool table = false;
    Box box;
    std::vector<int> lines;  // in reading order
};

// Sorts the lines into reading order, and sets their blocks.
std::vector<TextBlock> find_blocks(std::vector<TextLine>& lines);

}  // namespace crispvl::layout
