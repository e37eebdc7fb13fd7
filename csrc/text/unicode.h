// The facts about characters that the tokenizers need: letter, number or space, case, and NFC.
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

// Normalisation form C of valid UTF-8 (Unicode Standard Annex #15).
std::string to_nfc(std::string_view text);

}  // namespace crispvl
