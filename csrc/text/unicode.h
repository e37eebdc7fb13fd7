// The facts about characters that tokenizers and lines need: letter, number or space, case, the way
// they are written in, and NFC.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crispvl {

enum class CharClass : uint8_t {
    other,
    letter,  // \p{L}
    number,  // \p{N}
    space,   // \s, the property White_Space
};

CharClass char_class(char32_t code_point);

// What a letter can be within a word; a mark can be either, as letters without a case can.
enum class LetterCase : uint8_t {
    none,   // neither letter nor mark
    upper,  // \p{Lu}, \p{Lt}
    lower,  // \p{Ll}
    both,   // \p{Lm}, \p{Lo}, \p{M}
};

LetterCase letter_case(char32_t code_point);

// The way that a letter is written in (bidirectional classes L, and R or AL); all else has none.
enum class Direction : uint8_t { none, to_right, to_left };

Direction direction(char32_t code_point);

bool is_decimal(char32_t code_point);  // \p{Nd}

// Normalisation form C of valid UTF-8 (Unicode Standard Annex #15).
std::string to_nfc(std::string_view text);

}  // namespace crispvl
