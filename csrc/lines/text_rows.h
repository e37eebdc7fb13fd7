// Which lines of a layout are beside each other, and where a block of text begins.
#pragma once

#include <vector>

#include "layout/layout.h"

namespace crispvl::lines {

// Lines from left to right on one row of a text, by their numbers on the page.
struct TextRow {
    std::vector<int> lines;
    bool first;  // a block of text begins with it
};

// The rows of a page in reading order. What follows a line to its right on the same row belongs to
// it, though it be of another block: a label and its value, an article and its price. Rows close
// under each other are one block, as far as one is about as large and as bold as the other.
std::vector<TextRow> text_rows(const Layout& layout);

// The rows of each block of text.
std::vector<std::vector<TextRow>> blocks_of(const std::vector<TextRow>& rows);

}  // namespace crispvl::lines
