#include "lines/typography.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "lines/strips.h"

namespace crispvl::lines {
namespace {

// Times the height of the page's text, from which on a line may be a heading, and one of the first
// level.
constexpr double kLarger = 1.2, kMuchLarger = 1.6;
// Times the width of strokes of the page's text, from which on a line of its size is bold; single
// words of one weight differ by up to 1.3.
constexpr double kBolder = 1.4;
constexpr size_t kMostHeadingLines = 3;
constexpr double kRoom = 1.0;    // of a line's height, that a word would have had to spare
constexpr double kIndent = 2.0;  // heights by which the beginnings of lines of one text differ

double weighted_median(const std::vector<double>& values, const std::vector<double>& weights) {
    if (values.empty()) return 0;
    std::vector<size_t> order(values.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return values[a] < values[b]; });
    std::vector<double> sums;
    for (const size_t i : order) sums.push_back((sums.empty() ? 0 : sums.back()) + weights[i]);
    const auto middle = std::lower_bound(sums.begin(), sums.end(), sums.back() / 2);
    return values[order[static_cast<size_t>(middle - sums.begin())]];
}

}  // namespace

Typography::Typography(const std::vector<LayoutLine>& lines) : lines_(lines) {
    std::vector<double> lengths;
    for (const LayoutLine& line : lines) {
        heights_.push_back(band_px(line));
        strokes_.push_back(static_cast<double>(line.stroke));
        lengths.push_back(line.words.empty() ? 0.0 : static_cast<double>(line.words.back().to));
    }
    usual_size_ = weighted_median(heights_, lengths);
    usual_stroke_ = weighted_median(strokes_, lengths);
    for (const double height : heights_) n_usual_ += height < kLarger * usual_size_;
}

int Typography::heading_level(const Rows& rows) const {
    size_t n_lines = 0;
    double least_height = std::numeric_limits<double>::infinity(), least_stroke = least_height;
    for (const std::vector<int>& row : rows) {
        n_lines += row.size();
        for (const int i : row) {
            least_height = std::min(least_height, height(i));
            least_stroke = std::min(least_stroke, strokes_[static_cast<size_t>(i)]);
        }
    }
    if (n_lines > kMostHeadingLines || n_usual_ == 0) return 0;
    const double size = least_height / usual_size_;
    if (size >= kLarger) return size >= kMuchLarger ? 1 : 2;
    const bool is_bold = least_stroke >= kBolder * usual_stroke_;
    return is_bold && n_lines == rows.size() ? 3 : 0;
}

bool Typography::ends_early(int number, int following) const {
    const std::vector<LayoutWord>& words = lines_[static_cast<size_t>(following)].words;
    if (words.empty()) return false;
    const double word = static_cast<double>(words[0].to) - static_cast<double>(words[0].from);
    return reach(number) - along(number, number, 1) > word + kRoom * height(number);
}

double Typography::reach(int number) const {
    const double size = height(number), start = along(number, number, 0);
    double reach = -std::numeric_limits<double>::infinity();
    for (int i = 0; i < static_cast<int>(lines_.size()); ++i) {
        const double larger = std::max(height(i), size) / std::min(height(i), size);
        const bool begins_there = std::abs(along(i, number, 0) - start) < kIndent * size;
        if (larger < kLarger && begins_there) reach = std::max(reach, along(i, number, 1));
    }
    return reach;
}

double Typography::along(int number, int of, size_t corner) const {
    const Quad& quad = lines_[static_cast<size_t>(of)].quad;
    const double dx = static_cast<double>(quad[1].x) - quad[0].x;
    const double dy = static_cast<double>(quad[1].y) - quad[0].y;
    const layout::Point p = lines_[static_cast<size_t>(number)].quad[corner];
    return (p.x * dx + p.y * dy) / std::max(1e-6, std::sqrt(dx * dx + dy * dy));
}

bool is_one_weight(const LayoutLine& one, const LayoutLine& other) {
    const double a = static_cast<double>(one.stroke), b = static_cast<double>(other.stroke);
    return std::max(a, b) < kBolder * std::min(a, b);
}

}  // namespace crispvl::lines
