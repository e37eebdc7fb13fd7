#include "lines/joining.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "lines/marks.h"
#include "lines/word_order.h"
#include "lines/word_places.h"

namespace crispvl::lines {
namespace {

double rounded(double px) {
    return std::nearbyint(px * 100) / 100;
}

// The words of ink of a line, seen along its baseline.
class Ink {
public:
    explicit Ink(const LayoutLine& line) : x_(line.baseline[0].x), y_(line.baseline[0].y) {
        const double dx = line.baseline[1].x - x_, dy = line.baseline[1].y - y_;
        const double length = std::max(1e-6, std::sqrt(dx * dx + dy * dy));
        along_ = {dx / length, dy / length};
        for (const LayoutWord& word : line.words) {
            double top = across(word.quad[0]), bottom = top;
            for (const layout::Point& corner : word.quad) {
                top = std::min(top, across(corner));
                bottom = std::max(bottom, across(corner));
            }
            tops_.push_back(top);
            bottoms_.push_back(bottom);
            densities_.push_back(static_cast<double>(word.density));
        }
    }

    // What is shown where a word has one word of ink for itself.
    OwnInk own(int i_word, const Place& place, const Corners& quad) const {
        return {std::hypot(quad[1].x - quad[0].x, quad[1].y - quad[0].y),
                std::hypot(quad[3].x - quad[0].x, quad[3].y - quad[0].y),
                densities_.at(static_cast<size_t>(i_word + place.first))};
    }

    // The place of a word, whose numbers count words of ink from `i_word` on.
    Corners quad(int i_word, const Place& place) const {
        const auto first = i_word + place.first, end = i_word + place.last + 1;
        const double top = *std::min_element(tops_.begin() + first, tops_.begin() + end);
        const double bottom = *std::max_element(bottoms_.begin() + first, bottoms_.begin() + end);
        return {at(place.start, top), at(place.end, top), at(place.end, bottom),
                at(place.start, bottom)};
    }

private:
    double across(const layout::Point& p) const {
        return (p.y - y_) * along_.x - (p.x - x_) * along_.y;
    }
    Corner at(double along, double down) const {
        return {rounded(x_ + along * along_.x - down * along_.y),
                rounded(y_ + along * along_.y + down * along_.x)};
    }

    double x_, y_;                        // of the left end of the baseline
    Corner along_;                        // the line's direction, of length 1
    std::vector<double> tops_, bottoms_;  // of the words, under the baseline
    std::vector<double> densities_;       // of these
};

// Whether no other word has a part in the ink of word `k`.
bool has_own_ink(const std::vector<Place>& places, size_t k) {
    return (k == 0 || places[k - 1].last < places[k].first) &&
           (k + 1 == places.size() || places[k].last < places[k + 1].first);
}

// How many of a row's tokens it takes to write its first characters. `written`: how many there are
// after each.
size_t n_tokens_of(size_t n_chars, const std::vector<size_t>& written) {
    const auto last = std::lower_bound(written.begin(), written.end(), n_chars);
    return std::min(written.size(), static_cast<size_t>(last - written.begin()) + 1);
}

// The words of a strip in the order of its text, whatever way they run. `n_before`: tokens of the
// line that come before.
std::vector<ReadWord> words_in(const Ink& ink, const Strip& strip, const Row& row, size_t n_before,
                               double x_height) {
    const std::vector<CharSpan> words = words_of(row.text), spans = visual_spans(row.text);
    std::vector<size_t> in_sight(words.size());
    std::iota(in_sight.begin(), in_sight.end(), size_t{0});
    std::stable_sort(in_sight.begin(), in_sight.end(),
                     [&](size_t a, size_t b) { return spans[a].first < spans[b].first; });
    std::vector<std::u32string_view> texts;
    for (const size_t i : in_sight) texts.push_back(words[i].of(row.text));
    const std::vector<Place> places = place_words(texts, strip.words);
    const std::vector<size_t> written = row.chars_written();
    std::vector<ReadWord> read(words.size());
    for (size_t k = 0; k < in_sight.size(); ++k) {
        const CharSpan& word = words[in_sight[k]];
        const auto sure = row.sureness.begin();
        ReadWord& found = read[in_sight[k]];
        found = {std::u32string(texts[k]),
                 *std::min_element(sure + static_cast<std::ptrdiff_t>(word.first),
                                   sure + static_cast<std::ptrdiff_t>(word.end)),
                 ink.quad(strip.i_word, places[k]), n_before + n_tokens_of(word.end, written)};
        if (!has_own_ink(places, k)) continue;
        const OwnInk own = ink.own(strip.i_word, places[k], found.quad);
        if (is_dash(found.text)) found.text = dash_shown(found.text, own, x_height);
        if (is_bullet(found.text)) found.text = bullet_shown(own);
    }
    const auto is_none = [](const ReadWord& word) { return word.text.empty(); };
    read.erase(std::remove_if(read.begin(), read.end(), is_none), read.end());
    return read;
}

bool runs_to_left(const std::vector<const Row*>& rows) {
    std::u32string text;
    for (const Row* row : rows) text += row->text + U" ";
    return begins_at_right(text);
}

}  // namespace

Corners corners_of(const Quad& quad) {
    Corners corners{};
    for (size_t i = 0; i < quad.size(); ++i) corners[i] = {rounded(quad[i].x), rounded(quad[i].y)};
    return corners;
}

std::u32string ReadLine::text() const {
    std::u32string text;
    for (const ReadWord& word : words) text += (text.empty() ? U"" : U" ") + word.text;
    return text;
}

size_t ReadLine::n_tokens() const {
    size_t n = 0;
    for (const Row& row : rows) n += row.ids.size();
    return n;
}

ReadLine colon_line(const LayoutLine& line) {
    const Corners quad = corners_of(line.quad);
    return {{{U":", 0.0, quad}}, 0.0, quad, {}, line.block};
}

ReadLine join_strips(const LayoutLine& line, const std::vector<const Strip*>& strips,
                     const std::vector<const Row*>& rows) {
    const Ink ink(line);
    const bool is_mirrored = runs_to_left(rows);
    const auto x_height = static_cast<double>(line.x_height);
    std::vector<ReadWord> words;
    size_t n_tokens = 0;
    for (size_t k = 0; k < strips.size(); ++k) {
        const size_t i = is_mirrored ? strips.size() - 1 - k : k;
        std::vector<ReadWord> found = words_in(ink, *strips[i], *rows[i], n_tokens, x_height);
        n_tokens += rows[i]->ids.size();
        // Of this strip and the one before, the right one.
        const size_t i_right = is_mirrored ? i + 1 : i;
        const bool is_parted = i_right < strips.size() && strips[i_right]->within_word;
        if (is_parted && !words.empty() && !found.empty()) {
            words.back() = joined(words.back(), found.front(), is_mirrored);
            found.erase(found.begin());
        }
        std::move(found.begin(), found.end(), std::back_inserter(words));
    }
    if (!is_mirrored) settle_marks(words, x_height);
    ReadLine read{std::move(words), 0.0, corners_of(line.quad), {}, line.block};
    for (const Row* row : rows) read.rows.push_back(*row);
    read.logprob = mean_sureness(read.rows);
    return read;
}

}  // namespace crispvl::lines
