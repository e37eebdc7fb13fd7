// Light print on dark bars of a light page.
#pragma once

#include "layout/components.h"
#include "layout/ink.h"

namespace crispvl::layout {

// Takes solid areas of dark ink for paper of their own: what is left free within them becomes light
// ink, and they are no ink any more.
void open_bars(Ink& ink, int text_height);

}  // namespace crispvl::layout
