#include "lines/text_rows.h"

#include <algorithm>
#include <cmath>

#include "lines/strips.h"
#include "lines/typography.h"

namespace crispvl::lines {
namespace {

// Of the lower line's height, that must be level with the other for both to be one row.
constexpr double kSameRow = 0.5;
// Of a line's height: the most between two rows of different blocks that belong together, and the
// same where the upper row is of several lines, as in forms and tables.
constexpr double kClose = 0.6, kCloseRows = 1.5;
// Times the height of a line: another that is larger or smaller than that begins a block.
constexpr double kLike = 1.2;

// Where a line is, as seen along itself.
class LinePlace {
public:
    explicit LinePlace(const LayoutLine& line) : line_(&line), height_(band_px(line)) {
        const double dx = static_cast<double>(line.baseline[1].x) - line.baseline[0].x;
        const double dy = static_cast<double>(line.baseline[1].y) - line.baseline[0].y;
        const double length = std::max(1e-6, std::sqrt(dx * dx + dy * dy));
        along_x_ = dx / length;
        along_y_ = dy / length;
        const Span extent = along(line.quad);
        left_ = extent.from;
        right_ = extent.to;
    }

    // Whether another line is level with it, and to its right.
    bool has_beside(const LinePlace& other) const {
        const Span theirs = down(other.line_->quad), mine = down(line_->quad);
        const double level = std::min(theirs.to, mine.to) - std::max(theirs.from, mine.from);
        const double low = std::min(theirs.to - theirs.from, mine.to - mine.from);
        return along(other.line_->quad).from >= right_ - height_ / 4 && level >= kSameRow * low;
    }

    // Whether another line is about as large.
    bool is_like(const LinePlace& other) const {
        return std::max(height_, other.height_) < kLike * std::min(height_, other.height_);
    }

    // Whether another line is under it, with at most this many heights between.
    bool has_close_below(const LinePlace& other, double most) const {
        const Span theirs = along(other.line_->quad);
        const double baseline = down_of(other.line_->baseline[0]);
        const double gap = baseline - static_cast<double>(other.line_->band_above) -
                           static_cast<double>(line_->band_below);
        const bool overlaps = theirs.from < right_ && theirs.to > left_;
        return overlaps && baseline > 0 && gap < most * height_;
    }

private:
    double along_of(layout::Point p) const {
        return (static_cast<double>(p.x) - line_->baseline[0].x) * along_x_ +
               (static_cast<double>(p.y) - line_->baseline[0].y) * along_y_;
    }
    double down_of(layout::Point p) const {
        return (static_cast<double>(p.y) - line_->baseline[0].y) * along_x_ -
               (static_cast<double>(p.x) - line_->baseline[0].x) * along_y_;
    }
    // From where to where corners reach, along and across this line.
    Span along(const Quad& quad) const {
        return extent(quad, [this](layout::Point p) { return along_of(p); });
    }
    Span down(const Quad& quad) const {
        return extent(quad, [this](layout::Point p) { return down_of(p); });
    }
    template <class Measure>
    static Span extent(const Quad& quad, Measure measure) {
        Span span{measure(quad[0]), measure(quad[0])};
        for (const layout::Point& corner : quad) {
            span = {std::min(span.from, measure(corner)), std::max(span.to, measure(corner))};
        }
        return span;
    }

    const LayoutLine* line_;
    double height_;
    double along_x_ = 1, along_y_ = 0;
    double left_ = 0, right_ = 0;
};

bool is_one_block(const std::vector<LayoutLine>& lines, const std::vector<LinePlace>& places,
                  const std::vector<int>& row, int next) {
    const auto line_of = [&](int i) -> const LayoutLine& { return lines[static_cast<size_t>(i)]; };
    const auto place_of = [&](int i) -> const LinePlace& { return places[static_cast<size_t>(i)]; };
    const auto any = [&](auto holds) { return std::any_of(row.begin(), row.end(), holds); };
    const LayoutLine& below = line_of(next);
    const bool is_same = any([&](int i) { return line_of(i).block == below.block; });
    if (is_same && below.cell) return true;
    if (!any([&](int i) { return place_of(i).is_like(place_of(next)); })) return false;
    if (row.size() == 1 && !is_one_weight(line_of(row[0]), below)) return false;
    if (is_same) return true;
    if (any([&](int i) { return line_of(i).cell.has_value() != below.cell.has_value(); })) {
        return false;
    }
    const double most = row.size() == 1 ? kClose : kCloseRows;
    return any([&](int i) { return place_of(i).has_close_below(place_of(next), most); });
}

}  // namespace

std::vector<TextRow> text_rows(const Layout& layout) {
    std::vector<LinePlace> places(layout.lines.begin(), layout.lines.end());
    std::vector<TextRow> rows;
    for (const LayoutBlock& block : layout.blocks) {
        for (const int number : block.lines) {
            if (!rows.empty()) {
                const int last = rows.back().lines.back();
                if (places[static_cast<size_t>(last)].has_beside(
                        places[static_cast<size_t>(number)])) {
                    rows.back().lines.push_back(number);
                    continue;
                }
            }
            const bool first =
                rows.empty() || !is_one_block(layout.lines, places, rows.back().lines, number);
            rows.push_back({{number}, first});
        }
    }
    return rows;
}

std::vector<std::vector<TextRow>> blocks_of(const std::vector<TextRow>& rows) {
    std::vector<std::vector<TextRow>> blocks;
    for (const TextRow& row : rows) {
        if (row.first || blocks.empty()) blocks.emplace_back();
        blocks.back().push_back(row);
    }
    return blocks;
}

}  // namespace crispvl::lines
