// Marks of a line that the model tells less surely than the ink does: dashes, quotes, commas.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lines/read_word.h"

namespace crispvl::lines {

// The ink that a word has for itself, px of the page.
struct OwnInk {
    double width, height;
    double density;  // share of the ink in its box
};

// Whether a word is a single hyphen or dash.
bool is_dash(std::u32string_view word);

// The dash that ink shows, as long as it is beside small letters; empty where the ink is too high
// for any.
std::u32string dash_shown(std::u32string_view dash, const OwnInk& ink, double x_height);

// Whether a word is a single bullet or asterisk.
bool is_bullet(std::u32string_view word);

// The one of them that ink shows: bullets are full.
std::u32string bullet_shown(const OwnInk& ink);

// Turns quotes that end a word into closing ones, but for those that close after „, and gives
// commas and full stops that are words of their own to the word that they touch.
void settle_marks(std::vector<ReadWord>& words, double x_height);

}  // namespace crispvl::lines
