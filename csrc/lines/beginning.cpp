#include "lines/beginning.h"

#include <algorithm>
#include <cmath>

#include "lines/characters.h"
#include "lines/word_order.h"

namespace crispvl::lines {
namespace {

Row first_tokens(const Row& row, size_t n) {
    const auto n_kept = static_cast<std::ptrdiff_t>(n);
    Row part;
    part.ids = {row.ids.begin(), row.ids.begin() + n_kept};
    part.logprobs = {row.logprobs.begin(), row.logprobs.begin() + n_kept};
    part.pieces = {row.pieces.begin(), row.pieces.begin() + n_kept};
    part.text = row.text.substr(0, row.chars_written().at(n - 1));
    while (!part.text.empty() && is_space(part.text.back())) part.text.pop_back();
    part.sureness = {row.sureness.begin(),
                     row.sureness.begin() + static_cast<std::ptrdiff_t>(part.text.size())};
    return part;
}

// The rows of a line's first tokens, in the order of its text.
std::vector<Row> first_rows(const ReadLine& line, size_t n_tokens) {
    std::vector<Row> all = line.rows, kept;
    if (begins_at_right(line.text())) std::reverse(all.begin(), all.end());
    for (const Row& row : all) {
        const size_t n = std::min(n_tokens, row.ids.size());
        if (n == 0) continue;
        kept.push_back(n < row.ids.size() ? first_tokens(row, n) : row);
        n_tokens -= n;
    }
    return kept;
}

// What a row that was cut within a line's first word has of it; empty if nothing.
std::u32string begun(const Row& row, const std::u32string& word) {
    const std::vector<CharSpan> words = words_of(row.text);
    return words.empty() ? U"" : word.substr(0, words.back().end - words.back().first);
}

// The part of a line's place along which some of its words are.
Corners along(const std::vector<ReadWord>& words, const Corners& line) {
    const double dx = line[1].x - line[0].x, dy = line[1].y - line[0].y;
    const double length2 = std::max(1e-6, dx * dx + dy * dy);
    double from = 1, to = 0;  // share of the line's length
    for (const ReadWord& word : words) {
        for (const Corner& corner : word.quad) {
            const double at = (corner.x - line[0].x) * dx + (corner.y - line[0].y) * dy;
            from = std::min(from, at / length2);
            to = std::max(to, at / length2);
        }
    }
    const auto between = [](const Corner& start, const Corner& end, double share) {
        const double at = std::clamp(share, 0.0, 1.0);
        return Corner{start.x + at * (end.x - start.x), start.y + at * (end.y - start.y)};
    };
    return {between(line[0], line[1], from), between(line[0], line[1], to),
            between(line[3], line[2], to), between(line[3], line[2], from)};
}

}  // namespace

ReadLine beginning_of(const ReadLine& line, size_t n_tokens) {
    ReadLine part{{}, 0.0, line.quad, {}, line.block};
    const auto fits = [&](const ReadWord& word) { return word.n_tokens <= n_tokens; };
    const auto end = std::find_if_not(line.words.begin(), line.words.end(), fits);
    part.words = {line.words.begin(), end};
    part.rows = first_rows(line, part.words.empty() ? n_tokens : part.words.back().n_tokens);
    if (part.words.empty() && !part.rows.empty()) {
        ReadWord word = line.words.front();
        word.text = begun(part.rows.front(), word.text);
        if (!word.text.empty()) part.words.push_back(std::move(word));
    }
    if (part.words.empty()) part.rows.clear();
    if (part.rows.empty()) return part;
    part.logprob = mean_sureness(part.rows);
    part.quad = along(part.words, line.quad);
    if (begins_at_right(line.text())) std::reverse(part.rows.begin(), part.rows.end());
    return part;
}

}  // namespace crispvl::lines
