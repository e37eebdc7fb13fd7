// Rules: the lines of tables, frames and underlines.
#pragma once

#include "layout/components.h"

namespace crispvl::layout {

// Finds rules much longer than letters of `text_height` px and erases them from the ink. A stroke
// that crosses a rule stays whole; one that touches it ends at it.
std::vector<Box> take_rules(Bitmap& ink, int text_height);

// Removes what is left of broken rules: components no higher than a rule, in its course.
void drop_splinters(const std::vector<Box>& rules, int text_height, Components& components);

}  // namespace crispvl::layout
