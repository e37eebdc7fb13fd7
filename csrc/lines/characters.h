// What is a space, a letter or a digit in what a model writes.
#pragma once

#include <algorithm>
#include <string_view>
#include <vector>

#include "text/unicode.h"

namespace crispvl::lines {

// White space, and the separators of information U+001C to U+001F.
inline bool is_space(char32_t c) {
    return (c >= 0x1C && c <= 0x1F) || char_class(c) == CharClass::space;
}

inline bool is_letter_or_digit(char32_t c) {
    const CharClass found = char_class(c);
    return found == CharClass::letter || found == CharClass::number;
}

// Characters [first, end) of a text.
struct CharSpan {
    size_t first, end;

    std::u32string_view of(std::u32string_view text) const {
        return text.substr(first, end - first);
    }
};

// The words between white space.
inline std::vector<CharSpan> words_of(std::u32string_view text) {
    std::vector<CharSpan> words;
    const auto begin = text.begin();
    for (auto at = begin; (at = std::find_if_not(at, text.end(), is_space)) != text.end();) {
        const auto end = std::find_if(at, text.end(), is_space);
        words.push_back({static_cast<size_t>(at - begin), static_cast<size_t>(end - begin)});
        at = end;
    }
    return words;
}

}  // namespace crispvl::lines
