#include "lines/marks.h"

#include <algorithm>
#include <cmath>

#include "lines/characters.h"

namespace crispvl::lines {
namespace {

constexpr std::u32string_view kDashes = U"-\u2013\u2014";
// Heights of small letters. Hyphens of most fonts are 0.3 to 0.65 long, their dashes 0.75 and more.
constexpr double kLongestHyphen = 0.72;
constexpr double kHighestDash = 0.7;
// Of a disc 0.79, of an asterisk in print about 0.45.
constexpr double kFullDensity = 0.62;
constexpr double kNearComma = 1.0;  // between a word and the comma behind it

// Whether a word's letters and digits all come before a place.
bool ends_before(std::u32string_view word, size_t at) {
    const auto rest = word.begin() + static_cast<std::ptrdiff_t>(at);
    return at > 0 && std::none_of(rest, word.end(), is_letter_or_digit) &&
           std::any_of(word.begin(), rest, is_letter_or_digit);
}

// Quotes at a word's end close; straight ones are curly where a curly one opened in the line.
void close_quotes(std::u32string& word, bool& is_open) {
    for (size_t i = 0; i < word.size(); ++i) {
        const bool is_closing = word[i] == U'\u201C' || (word[i] == U'"' && is_open);
        if (is_closing && ends_before(word, i)) word[i] = U'\u201D';
        if (word[i] == U'\u201C') is_open = true;
        if (word[i] == U'\u201D') is_open = false;
    }
}

bool touches(const ReadWord& word, const ReadWord& mark, double x_height) {
    const Corner& end = word.quad[2];
    const Corner& start = mark.quad[3];
    return std::hypot(start.x - end.x, start.y - end.y) <= kNearComma * x_height;
}

}  // namespace

bool is_dash(std::u32string_view word) {
    return word.size() == 1 && kDashes.find(word[0]) != kDashes.npos;
}

std::u32string dash_shown(std::u32string_view dash, const OwnInk& ink, double x_height) {
    if (ink.height > kHighestDash * x_height && 2 * ink.height > ink.width) return {};
    return std::u32string(ink.width <= kLongestHyphen * x_height ? U"-" : dash);
}

bool is_bullet(std::u32string_view word) {
    return word == U"\u2022" || word == U"*";
}

std::u32string bullet_shown(const OwnInk& ink) {
    return ink.density >= kFullDensity ? U"\u2022" : U"*";
}

void settle_marks(std::vector<ReadWord>& words, double x_height) {
    bool is_low_quoted = false;  // „…“
    bool is_open = false;
    std::vector<ReadWord> settled;
    for (ReadWord& word : words) {
        is_low_quoted |= word.text.find(U'\u201E') != word.text.npos;
        if (!is_low_quoted) close_quotes(word.text, is_open);
        const bool is_stop = word.text == U"," || word.text == U".";
        if (is_stop && !settled.empty() && touches(settled.back(), word, x_height)) {
            settled.back() = joined(settled.back(), word, /*is_mirrored=*/false);
        } else {
            settled.push_back(std::move(word));
        }
    }
    words = std::move(settled);
}

}  // namespace crispvl::lines
