#include "lines/page_strips.h"

#include <algorithm>
#include <iterator>

#include "lines/drawn_pages.h"

namespace crispvl::lines {
PageStrips::PageStrips(const PixelView& page, const std::vector<LayoutLine>& lines,
                       const StripFormat& form)
    : page_(page), lines_(lines), form_(form), first_of_line_{0} {
    const double scale = is_drawn(page) ? kDrawnScale : 1.0;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (!lines[i].colon) {
            std::vector<Strip> cut =
                cut_into_strips(page, static_cast<int>(i), lines[i], form, scale);
            std::move(cut.begin(), cut.end(), std::back_inserter(strips_));
        }
        first_of_line_.push_back(static_cast<int>(strips_.size()));
    }
    best_.resize(strips_.size());
}

std::vector<int> PageStrips::doubtful() const {
    std::vector<int> numbers;
    for (size_t i = 0; i < best_.size(); ++i) {
        if (!best_[i] || best_[i]->doubtful) numbers.push_back(static_cast<int>(i));
    }
    return numbers;
}

std::vector<int> PageStrips::unread() const {
    std::vector<int> numbers;
    for (size_t i = 0; i < best_.size(); ++i) {
        if (!best_[i] || !best_[i]->plausible) numbers.push_back(static_cast<int>(i));
    }
    return numbers;
}

std::vector<std::vector<int>> PageStrips::shown_to(const Look& look) const {
    const std::vector<int> wanted = look.at_unread ? unread() : doubtful();
    const auto n_rows =
        static_cast<size_t>(look.n_rows == 0 ? form_.n_rows : std::min(look.n_rows, form_.n_rows));
    std::vector<std::vector<int>> tiles;
    for (size_t i = 0; i < wanted.size(); ++i) {
        if (i % n_rows == 0) tiles.emplace_back();
        tiles.back().push_back(wanted[i]);
    }
    return tiles;
}

bool PageStrips::settled(const std::vector<int>& i_lines) const {
    return std::all_of(i_lines.begin(), i_lines.end(), [&](int i_line) {
        const auto i = static_cast<size_t>(i_line);
        for (int number = first_of_line_.at(i); number < first_of_line_.at(i + 1); ++number) {
            if (!best(number) || best(number)->doubtful) return false;
        }
        return true;
    });
}

StripTile PageStrips::tile(const std::vector<int>& numbers, const Drawing& drawing) const {
    std::vector<const Strip*> strips;
    for (const int number : numbers) strips.push_back(&strip(number));
    return make_tile(page_, lines_, strips, form_, drawing);
}

void PageStrips::take(const std::vector<int>& numbers, std::vector<Row> rows, bool whole) {
    if (rows.size() == numbers.size() + 1 && rows.back().text.empty()) rows.pop_back();
    if (rows.size() != numbers.size() || !whole) return;
    for (size_t i = 0; i < rows.size(); ++i) {
        const Strip& shown = strip(numbers[i]);
        const float x_height = lines_.at(static_cast<size_t>(shown.i_line)).x_height;
        Reading reading = judge(shown, std::move(rows[i]), x_height);
        std::optional<Reading>& known = best_[static_cast<size_t>(numbers[i])];
        if (!known || reading.score() > known->score()) known = std::move(reading);
    }
}

ReadLine PageStrips::join(int i_line) const {
    const auto i = static_cast<size_t>(i_line);
    if (lines_.at(i).colon) return colon_line(lines_[i]);
    std::vector<const Strip*> strips;
    std::vector<const Row*> rows;
    for (int number = first_of_line_.at(i); number < first_of_line_.at(i + 1); ++number) {
        if (!best(number) || !best(number)->fits) continue;
        strips.push_back(&strip(number));
        rows.push_back(&best(number)->row);
    }
    ReadLine line = join_strips(lines_.at(i), strips, rows);
    if (!is_credible(line.text(), line.logprob)) {
        line.words.clear();
        line.rows.clear();
    }
    return line;
}

}  // namespace crispvl::lines
