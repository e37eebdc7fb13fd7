// The facts about characters that the tokenizers need: letter, number or space, and NFC.
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

/// Normalisation form C of valid UTF-8 (Unicode Standard Annex #15).
std::string to_nfc(std::string_view text);

}  // namespace crispvl
