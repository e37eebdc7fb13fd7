#include "lines/word_order.h"

#include <algorithm>

namespace crispvl::lines {
namespace {

// Of the first letter; none without one.
Direction first_direction(std::u32string_view text) {
    for (const char32_t c : text) {
        if (const Direction found = direction(c); found != Direction::none) return found;
    }
    return Direction::none;
}

void mirror(CharSpan& span, size_t left, size_t right) {
    span = {left + right - span.end, left + right - span.first};
}

// The direction of each word: its letters', or that of the words around it. A number goes with what
// comes before it (rules W2, W7, N1), a sign with both sides if they are alike (N1), else with the
// line (N2).
std::vector<Direction> resolve(std::u32string_view text, const std::vector<CharSpan>& words,
                               Direction base) {
    std::vector<Direction> strong, resolved;
    for (const CharSpan& word : words) strong.push_back(first_direction(word.of(text)));
    for (size_t i = 0; i < words.size(); ++i) {
        const Direction before = resolved.empty() ? base : resolved.back();
        const auto next =
            std::find_if(strong.begin() + static_cast<std::ptrdiff_t>(i), strong.end(),
                         [](Direction d) { return d != Direction::none; });
        const Direction after = next == strong.end() ? base : *next;
        const std::u32string_view word = words[i].of(text);
        const bool is_number = std::any_of(word.begin(), word.end(), is_decimal);
        const Direction alike = before == after ? before : base;
        resolved.push_back(strong[i] != Direction::none ? strong[i] : is_number ? before : alike);
    }
    return resolved;
}

}  // namespace

std::vector<CharSpan> visual_spans(std::u32string_view text) {
    const std::vector<CharSpan> words = words_of(text);
    const Direction base = begins_at_right(text) ? Direction::to_left : Direction::to_right;
    const std::vector<Direction> directions = resolve(text, words, base);
    std::vector<CharSpan> spans = words;
    if (base == Direction::to_left) {
        for (CharSpan& span : spans) mirror(span, 0, text.size());
    }
    for (size_t first = 0, end = 0; first < spans.size(); first = end) {
        while (end < spans.size() && directions[end] == directions[first]) ++end;
        if (directions[first] == base) continue;
        size_t left = text.size(), right = 0;
        for (size_t i = first; i < end; ++i) {
            left = std::min(left, spans[i].first);
            right = std::max(right, spans[i].end);
        }
        for (size_t i = first; i < end; ++i) mirror(spans[i], left, right);
    }
    return spans;
}

bool begins_at_right(std::u32string_view text) {
    return first_direction(text) == Direction::to_left;
}

}  // namespace crispvl::lines
