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
    return numbers_where([this](int number) { return is_doubtful(number); });
}

std::vector<int> PageStrips::unread() const {
    return numbers_where([this](int number) { return is_unread(number); });
}

bool PageStrips::wants(const Look& look, int number) const {
    return look.at_unread ? is_unread(number) : is_doubtful(number);
}

std::vector<TileRows> PageStrips::shown_to(const Look& look) const {
    return tiles_of(numbers_where([&](int number) { return wants(look, number); }), look);
}

std::vector<TileRows> PageStrips::tiles_of(const std::vector<int>& numbers,
                                           const Look& look) const {
    const auto n_rows =
        static_cast<size_t>(look.n_rows == 0 ? form_.n_rows : std::min(look.n_rows, form_.n_rows));
    const bool shares = look.is_dense && form_.gap_px > 0;
    std::vector<TileRows> tiles;
    std::vector<int64_t> ends;  // of the rows of the last tile, px
    for (const int number : numbers) {
        const int64_t width = drawn_px(number, look.drawing);
        const auto row = std::find_if(ends.begin(), ends.end(), [&](int64_t end) {
            return shares && end + form_.gap_px + width <= form_.width_px();
        });
        if (row != ends.end()) {
            tiles.back()[static_cast<size_t>(row - ends.begin())].push_back(number);
            *row += form_.gap_px + width;
            continue;
        }
        if (tiles.empty() || ends.size() == n_rows) {
            tiles.emplace_back();
            ends.clear();
        }
        tiles.back().push_back({number});
        ends.push_back(width);
    }
    return tiles;
}

bool PageStrips::settled(const std::vector<int>& i_lines) const {
    return std::all_of(i_lines.begin(), i_lines.end(), [&](int i_line) {
        const auto i = static_cast<size_t>(i_line);
        for (int number = first_of_line_.at(i); number < first_of_line_.at(i + 1); ++number) {
            if (is_doubtful(number)) return false;
        }
        return true;
    });
}

StripTile PageStrips::tile(const TileRows& numbers, const Drawing& drawing) const {
    std::vector<StripRow> rows;
    for (const std::vector<int>& row : numbers) rows.push_back(row_of(row));
    return make_tile(page_, lines_, rows, form_, drawing);
}

void PageStrips::take(const TileRows& numbers, const std::vector<Row>& rows, bool whole) {
    const size_t n = numbers.size();
    const bool has_end = rows.size() == n + 1 && rows.back().text.empty();
    if ((rows.size() != n && !has_end) || !whole) return;
    for (size_t i = 0; i < n; ++i) {
        std::vector<int64_t> widths;
        for (const int number : numbers[i]) widths.push_back(drawn_px(number, {}));
        std::vector<Row> parts = parts_of(rows[i], row_of(numbers[i]), widths);
        for (size_t k = 0; k < parts.size(); ++k) keep(numbers[i][k], std::move(parts[k]));
    }
}

StripRow PageStrips::row_of(const std::vector<int>& numbers) const {
    StripRow row;
    for (const int number : numbers) row.push_back(&strip(number));
    return row;
}

void PageStrips::keep(int number, Row row) {
    const Strip& shown = strip(number);
    Reading reading = judge(shown, std::move(row), line_of(shown).x_height);
    std::optional<Reading>& known = best_[static_cast<size_t>(number)];
    if (!known || reading.score() > known->score()) known = std::move(reading);
}

int64_t PageStrips::drawn_px(int number, const Drawing& drawing) const {
    return lines::drawn_px(line_of(strip(number)), strip(number), form_, drawing);
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
