// Letters of two lines that touch.
#pragma once

#include "layout/components.h"

namespace crispvl::layout {

// Cuts components that span two rows of letters where they are thinnest between the rows: a
// descender that touches an ascender under it.
void split_touching(int text_height, Components& components);

}  // namespace crispvl::layout
