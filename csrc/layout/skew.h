// Which way the text runs: along the rows of the image or its columns, and at what angle.
#pragma once

#include "layout/components.h"

namespace crispvl::layout {

// The typical height of the page's letters in px, 0 where nothing could be letters.
int typical_height(const std::vector<Component>& components);

struct Skew {
    bool vertical = false;  // lines run along the columns of the image
    double radians = 0;     // how far lines descend to the right (vertical: lean to the left)
};

// From the components that could be letters. Lines of text are distinguished from columns by the
// gaps between neighbours, which are narrower within a line; the angle is the one within ±10° at
// which the lower and upper ends of letters fall into the fewest rows.
Skew find_skew(const std::vector<Component>& components, int text_height);

}  // namespace crispvl::layout
