// Whether what looks like a line is text.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

// False for specks, rules of dashes, splinters of pictures, and letters too small to be read.
bool is_text(const Components& components, const TextLine& line, int text_height);

}  // namespace crispvl::layout
