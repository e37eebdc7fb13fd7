// Whether lines stand on their feet or on their heads.
#pragma once

#include "layout/text_line.h"

namespace crispvl::layout {

// True where the letters of the lines, as found, are surely upside down. Letters by their shapes
// (models/layout/train_upright.py), lines by the ink over and under their x-height: Latin print has
// far more ascenders than descenders.
bool is_upside_down(const Components& components, const std::vector<TextLine>& lines);

// How far the shapes of a line's letters tell that it is upright: about 1 for each letter of text,
// about 0 for other shapes.
struct LetterOdds {
    float sum = 0;  // of log-odds
    float n = 0;    // letters
};
LetterOdds letter_odds(const Components& components, const TextLine& line);

}  // namespace crispvl::layout
