// Components to letters.
#pragma once

#include "layout/components.h"

namespace crispvl::layout {

// What is about as large as a letter: a component, or fragments close above each other, as broken
// print and letters with dots have them.
struct Letter {
    std::vector<size_t> components;
    Box box;
    int area = 0;  // px of ink
    bool light = false;
};

// All components of a page as letters; those that are no fragments are by themselves.
std::vector<Letter> find_letters(const Components& components, int text_height);

}  // namespace crispvl::layout
