#include "lines/columns.h"

#include <algorithm>
#include <limits>
#include <set>

#include "lines/strips.h"

namespace crispvl::lines {
namespace {

constexpr size_t kFewestRows = 3;
// Two columns are labels and values, or articles and prices, which read better as lines.
constexpr int kFewestColumns = 3;
constexpr double kFilled = 0.6;  // of the cells, at least

// Where a line is in the direction from `a` to `b`, in an unit of their distance.
Span extent(const Quad& quad, layout::Point a, layout::Point b) {
    const double dx = static_cast<double>(b.x) - a.x, dy = static_cast<double>(b.y) - a.y;
    Span span{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
    for (const layout::Point& p : quad) {
        const double place = p.x * dx + p.y * dy;
        span = {std::min(span.from, place), std::max(span.to, place)};
    }
    return span;
}

// The column of each line: a new one begins where no earlier line reaches.
std::map<int, int> columns_of(const std::vector<LayoutLine>& lines, const Rows& rows) {
    const Quad& first = lines[static_cast<size_t>(rows[0][0])].quad;
    std::vector<std::pair<Span, int>> spans;
    for (const std::vector<int>& row : rows) {
        for (const int i : row) {
            spans.push_back({extent(lines[static_cast<size_t>(i)].quad, first[0], first[1]), i});
        }
    }
    std::stable_sort(spans.begin(), spans.end(), [](const auto& a, const auto& b) {
        return a.first.from != b.first.from ? a.first.from < b.first.from : a.first.to < b.first.to;
    });
    std::map<int, int> columns;
    int n_columns = 0;
    double reach = -std::numeric_limits<double>::infinity();
    for (const auto& [span, i] : spans) {
        n_columns += span.from > reach;
        reach = std::max(reach, span.to);
        columns[i] = n_columns - 1;
    }
    return columns;
}

std::optional<Cells> aligned_cells(const std::vector<LayoutLine>& lines, const Rows& rows) {
    const auto is_short = [](const std::vector<int>& row) { return row.size() < 2; };
    if (rows.size() < kFewestRows || std::any_of(rows.begin(), rows.end(), is_short)) return {};
    const std::map<int, int> columns = columns_of(lines, rows);
    int n_columns = 0;
    for (const auto& [line, column] : columns) n_columns = std::max(n_columns, column + 1);
    const double n_filled =
        kFilled * static_cast<double>(n_columns) * static_cast<double>(rows.size());
    if (n_columns < kFewestColumns || static_cast<double>(columns.size()) < n_filled) {
        return {};
    }
    Cells cells;
    for (size_t i_row = 0; i_row < rows.size(); ++i_row) {
        std::set<int> seen;
        for (const int i : rows[i_row]) {
            const int column = columns.at(i);
            if (!seen.insert(column).second) return {};  // two lines in one cell
            cells[i] = {static_cast<int>(i_row), column};
        }
    }
    return cells;
}

}  // namespace

std::optional<Cells> cells_of(const std::vector<LayoutLine>& lines, const Rows& rows) {
    Cells ruled;
    bool all_known = true;
    for (const std::vector<int>& row : rows) {
        for (const int i : row) {
            const std::optional<LayoutCell>& cell = lines[static_cast<size_t>(i)].cell;
            if (cell) ruled[i] = *cell;
            all_known = all_known && cell.has_value();
        }
    }
    if (!all_known) return aligned_cells(lines, rows);
    return ruled.empty() ? std::nullopt : std::optional<Cells>(std::move(ruled));
}

}  // namespace crispvl::lines
