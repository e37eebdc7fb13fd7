#include "lines/doubt.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "lines/characters.h"
#include "lines/word_places.h"

namespace crispvl::lines {
namespace {

// Mean log-probability of a row's tokens from which on it is believed at once.
const double kSure = std::log(0.96);

// Mean log-probability of a line's characters from which on it may be signs alone.
const double kSureSigns = std::log(0.9);

// Log-probability under which a single character is worth a second look.
const double kLeastCharacter = std::log(0.4);

// Mean log-probability of a line's characters under which it is no text that the model knows: most
// words of such lines are wrong, since dirt, pictures and handwriting are read as something too.
const double kLeastLine = std::log(0.6);

// Width of a usual letter, on average over a row, in x-heights: sure rows have 0.7 to 2.
constexpr double kNarrowest = 0.5, kWidest = 2.2;

// Taken from the mean log-probability of a row that cannot be what its strip shows.
constexpr double kImplausible = 2.0;

bool fits(const Strip& strip, const std::u32string& text, double x_height) {
    if (text.empty()) return strip.width() < 2 * x_height;
    double ink = 0;
    for (const Span& word : strip.words) ink += word.to - word.from;
    std::u32string letters = text;
    letters.erase(std::remove(letters.begin(), letters.end(), U' '), letters.end());
    const double letter = ink / (x_height * text_width(letters));
    return (text.size() == 1 ? kNarrowest / 2 : kNarrowest) <= letter && letter <= kWidest;
}

}  // namespace

double Reading::score() const {
    return row.mean_logprob() - (plausible ? 0.0 : kImplausible);
}

Reading judge(const Strip& strip, Row row, double x_height) {
    const bool is_fitting = fits(strip, row.text, x_height);
    const auto n_read = static_cast<int64_t>(words_of(row.text).size());
    const auto n_shown = static_cast<int64_t>(strip.words.size());
    const bool is_plausible =
        is_fitting && row.ended && std::abs(n_read - n_shown) <= 1 + n_shown / 3;
    const auto least = std::min_element(row.sureness.begin(), row.sureness.end());
    const bool is_unsure =
        row.mean_logprob() < kSure || (least != row.sureness.end() && *least < kLeastCharacter);
    return {std::move(row), is_fitting, is_plausible, is_unsure || !is_plausible};
}

bool is_credible(std::u32string_view text, double logprob) {
    const bool has_words = std::any_of(text.begin(), text.end(), is_letter_or_digit);
    return logprob >= (has_words ? kLeastLine : kSureSigns);
}

}  // namespace crispvl::lines
