// Which of the lines found are text.
#pragma once

#include "layout/pictures.h"
#include "layout/text_line.h"

namespace crispvl::layout {

// Removes what is no text: specks, splinters of pictures and halftones, bar codes, drawings.
//
// For each line three things are weighed as log-likelihoods: how much of the ink around belongs to
// it, how many of its letters stand on the baseline, and how far their shapes tell which way is up
// (upright.h). Lines nearby count too: what is beside text is more likely text.
void keep_text(const Components& components, const Pictures& pictures, int text_height,
               std::vector<TextLine>& lines);

}  // namespace crispvl::layout
