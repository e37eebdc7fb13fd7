// The strips of a page's lines, known by their numbers, and what was read for them.
#pragma once

#include <array>
#include <optional>

#include "lines/doubt.h"
#include "lines/joining.h"
#include "lines/shared_rows.h"

namespace crispvl::lines {

// How strips are shown to the model.
struct Look {
    Drawing drawing;
    int64_t n_rows;  // most rows of a tile; 0: as many as it holds
    bool at_unread;  // only strips are shown for which nothing credible was read
    bool is_dense;   // short strips share a row, where the model's file says that they may
};

// At every strip; at those in doubt again, lower and wider, which suits narrow letters; at what is
// left, in other company.
inline constexpr std::array<Look, 3> kLooks = {
    {{{1, 1}, 0, false, true}, {{0.9, 1.2}, 0, false, false}, {{1, 1}, 4, true, false}}};

// The rows of a tile from top to bottom: the numbers of the strips of each, from left to right.
using TileRows = std::vector<std::vector<int>>;

class PageStrips {
public:
    // `page` is grey. It and the lines have to outlive the strips.
    PageStrips(const PixelView& page, const std::vector<LayoutLine>& lines,
               const StripFormat& form);

    std::vector<int> doubtful() const;  // strips that are to be read, or read again
    std::vector<int> unread() const;    // strips for which nothing was read that they could show
    bool wants(const Look& look, int number) const;  // whether a look is meant for a strip now
    // Tiles of a look with some strips, in their order. Only to the last one more could be added.
    std::vector<TileRows> tiles_of(const std::vector<int>& numbers, const Look& look) const;
    // All tiles of a look.
    std::vector<TileRows> shown_to(const Look& look) const;
    // Whether some lines were read beyond doubt.
    bool settled(const std::vector<int>& i_lines) const;
    StripTile tile(const TileRows& numbers, const Drawing& drawing) const;

    // Keeps the rows of an answer where they are surer than what was read before. An answer with
    // another number of rows than were shown does not tell which row is whose, and is not used, nor
    // is one that is not `whole`, as it did not come to its end.
    void take(const TileRows& numbers, const std::vector<Row>& rows, bool whole);

    // A line as it was read; strips without a reading that fits them are left out. Of a line that
    // is not credible nothing is left.
    ReadLine join(int i_line) const;

private:
    // Keeps a reading of a strip where it is surer than what was read before.
    void keep(int number, Row row);
    int64_t drawn_px(int number, const Drawing& drawing) const;
    StripRow row_of(const std::vector<int>& numbers) const;
    const LayoutLine& line_of(const Strip& strip) const {
        return lines_.at(static_cast<size_t>(strip.i_line));
    }
    bool is_doubtful(int number) const { return !best(number) || best(number)->doubtful; }
    bool is_unread(int number) const { return !best(number) || !best(number)->plausible; }
    template <typename Condition>
    std::vector<int> numbers_where(const Condition& holds) const {
        std::vector<int> numbers;
        for (int number = 0; number < static_cast<int>(strips_.size()); ++number) {
            if (holds(number)) numbers.push_back(number);
        }
        return numbers;
    }
    const Strip& strip(int number) const { return strips_.at(static_cast<size_t>(number)); }
    const std::optional<Reading>& best(int number) const {
        return best_.at(static_cast<size_t>(number));
    }

    PixelView page_;
    const std::vector<LayoutLine>& lines_;
    StripFormat form_;
    std::vector<Strip> strips_;
    std::vector<int> first_of_line_;  // strips of line i: from entry i to entry i + 1
    std::vector<std::optional<Reading>> best_;
};

}  // namespace crispvl::lines
