#include "lines/shared_rows.h"

#include <algorithm>

#include "lines/characters.h"
#include "lines/word_order.h"
#include "lines/word_places.h"

namespace crispvl::lines {
namespace {

// The words of ink of all strips as if they were one, px of the tile.
std::vector<Span> ink_of(const StripRow& strips, const std::vector<int64_t>& widths) {
    std::vector<Span> ink;
    double left = 0;
    for (size_t i = 0; i < strips.size(); ++i) {
        const auto width = static_cast<double>(widths[i]);
        const double scale = width / std::max(1e-6, strips[i]->width());
        for (const Span& word : strips[i]->words) {
            ink.push_back({left + (word.from - strips[i]->x_from) * scale,
                           left + (word.to - strips[i]->x_from) * scale});
        }
        left += width;
    }
    return ink;
}

// How many words of a text each strip has; nothing where a word is on the ink of two.
std::vector<size_t> words_of_each(const std::vector<Place>& places, const StripRow& strips) {
    std::vector<size_t> counts;
    auto place = places.begin();
    int end = 0;  // of the strip's words of ink
    for (const Strip* strip : strips) {
        end += static_cast<int>(strip->words.size());
        const auto next =
            std::find_if(place, places.end(), [&](const Place& p) { return p.last >= end; });
        if (next == place || (next != places.end() && next->first < end)) return {};
        counts.push_back(static_cast<size_t>(next - place));
        place = next;
    }
    return counts;
}

// The tokens of a row one after the other, and which characters of its text they wrote.
class Tokens {
public:
    explicit Tokens(const Row& row) : row_(row) {
        for (const std::u32string& piece : row.pieces) text_ += piece;
        while (first_ < text_.size() && is_space(text_[first_])) ++first_;
    }

    // Whether they wrote the text, and not what another row's token left of it.
    bool wrote_all() const { return text_.compare(first_, row_.text.size(), row_.text) == 0; }

    // Moves the tokens that begin before a character of the text to a part of the row.
    void move_to(Row& part, size_t end) {
        for (; i_ < row_.ids.size() && n_chars_ < first_ + end; ++i_) {
            part.ids.push_back(row_.ids[i_]);
            part.logprobs.push_back(row_.logprobs[i_]);
            part.pieces.push_back(row_.pieces[i_]);
            n_chars_ += row_.pieces[i_].size();
        }
    }
    void move_rest_to(Row& part) { move_to(part, text_.size() + 1); }

private:
    const Row& row_;
    std::u32string text_;
    size_t first_ = 0;  // character of the text
    size_t i_ = 0, n_chars_ = 0;
};

}  // namespace

std::vector<Row> parts_of(const Row& row, const StripRow& strips,
                          const std::vector<int64_t>& widths) {
    if (strips.size() == 1) return {row};
    Tokens tokens(row);
    if (begins_at_right(row.text) || !tokens.wrote_all()) return {};
    const std::vector<CharSpan> words = words_of(row.text);
    std::vector<std::u32string_view> texts;
    for (const CharSpan& word : words) texts.push_back(word.of(row.text));
    const std::vector<size_t> counts =
        words_of_each(place_words(texts, ink_of(strips, widths)), strips);
    std::vector<Row> parts;
    size_t i_word = 0;
    for (const size_t n : counts) {
        const size_t first = words[i_word].first, end = words[i_word + n - 1].end;
        i_word += n;
        Row part;
        part.text = row.text.substr(first, end - first);
        const auto sure = row.sureness.begin();
        part.sureness = {sure + static_cast<std::ptrdiff_t>(first),
                         sure + static_cast<std::ptrdiff_t>(end)};
        part.ended = true;
        tokens.move_to(part, end);
        parts.push_back(std::move(part));
    }
    if (parts.empty()) return parts;
    tokens.move_rest_to(parts.back());
    parts.back().ended = row.ended;
    parts.back().end_logprob = row.end_logprob;
    return parts;
}

}  // namespace crispvl::lines
