// The room of each line among its neighbours.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

// Sets, for each px along each line, how far over and under its baseline no other line has ink, as
// far as strips reach. The line's own ink is always within.
void find_room(const Components& components, std::vector<TextLine>& lines);

}  // namespace crispvl::layout
