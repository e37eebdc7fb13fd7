// Lines to words.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

// Sets the words of every line: parts of its ink with gaps between them that are wider than those
// within words. Where the two kinds part is found for each line, and for short ones from all lines.
void find_words(const Components& components, std::vector<TextLine>& lines);

}  // namespace crispvl::layout
