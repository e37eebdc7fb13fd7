#include "layout/tables.h"

#include <cmath>

#include "layout/sets.h"

namespace crispvl::layout {
namespace {

constexpr float kTouch = 0.6f;         // letters between rules that meet
constexpr float kEdgeShare = 0.4f;     // of a grid's length that an edge of cells has rules
constexpr size_t kMostRules = 4000;    // more are a pattern
constexpr size_t kLeastAligned = 3;    // rows and columns without rules that make a table
constexpr float kLeastFilled = 0.55f;  // of the cells of such a table
constexpr float kColumnGap = 0.8f;     // in x-heights
constexpr float kRowGap = 6;           // in x-heights, from one baseline to the next
constexpr float kProseWidth = 14;      // in x-heights, that lines of running text are wide

struct Interval {
    int from = 0, to = 0;  // px
};

// Places along an axis at which rules that run across it are, and how long those are together.
struct Edge {
    int place = 0, length = 0;  // px
};

// The edges that rules make along one axis within a grid; `length` is the grid's across it.
std::vector<int> edges_of(std::vector<Edge> rules, Interval extent, int length, int text_height) {
    std::sort(rules.begin(), rules.end(),
              [](const Edge& a, const Edge& b) { return a.place < b.place; });
    std::vector<int> edges;
    for (size_t i = 0; i < rules.size();) {
        int sum = 0;
        size_t j = i;
        for (; j < rules.size() && rules[j].place - rules[i].place <= text_height / 2; ++j)
            sum += rules[j].length;
        if (static_cast<float>(sum) >= kEdgeShare * static_cast<float>(length))
            edges.push_back((rules[i].place + rules[j - 1].place) / 2);
        i = j;
    }
    // Many tables have no rules at their sides.
    if (edges.empty() || edges.front() - extent.from > 2 * text_height)
        edges.insert(edges.begin(), extent.from);
    if (extent.to - edges.back() > 2 * text_height) edges.push_back(extent.to);
    return edges;
}

// Rules that meet, in groups.
std::vector<std::vector<size_t>> grids_of(const std::vector<Box>& rules, int text_height) {
    const int reach = static_cast<int>(kTouch * static_cast<float>(text_height)) + 1;
    Sets sets(rules.size());
    for (size_t i = 0; i < rules.size(); ++i) {
        for (size_t j = i + 1; j < rules.size(); ++j) {
            if (x_overlap(rules[i], rules[j]) > -reach && y_overlap(rules[i], rules[j]) > -reach)
                sets.unite(i, j);
        }
    }
    return sets.groups();
}

// The stretch between two edges that holds a place; -1 outside.
int stretch_of(const std::vector<int>& edges, float place) {
    const auto after = std::upper_bound(edges.begin(), edges.end(), static_cast<int>(place));
    if (after == edges.begin() || after == edges.end()) return -1;
    return static_cast<int>(after - edges.begin()) - 1;
}

size_t n_different(std::vector<int> values) {
    std::sort(values.begin(), values.end());
    return static_cast<size_t>(std::unique(values.begin(), values.end()) - values.begin());
}

void sort_cells(const std::vector<TextLine>& lines, Table& table) {
    std::stable_sort(table.lines.begin(), table.lines.end(), [&](int i, int j) {
        const TextLine &a = lines[static_cast<size_t>(i)], &b = lines[static_cast<size_t>(j)];
        if (a.row != b.row) return a.row < b.row;
        return a.column != b.column ? a.column < b.column : a.base < b.base;
    });
    for (const int i : table.lines) table.box.include(lines[static_cast<size_t>(i)].box);
}

void take_grid(const std::vector<Box>& rules, const std::vector<size_t>& grid, int text_height,
               std::vector<TextLine>& lines, std::vector<Table>& found) {
    Box box = rules[grid.front()];
    for (const size_t i : grid) box.include(rules[i]);
    std::vector<Edge> across, down;
    for (const size_t i : grid) {
        const Box& rule = rules[i];
        if (rule.width() > rule.height()) {
            down.push_back({(rule.top + rule.bottom) / 2, rule.width()});
        } else {
            across.push_back({(rule.left + rule.right) / 2, rule.height()});
        }
    }
    const std::vector<int> columns =
        edges_of(std::move(across), {box.left, box.right}, box.height(), text_height);
    const std::vector<int> rows =
        edges_of(std::move(down), {box.top, box.bottom}, box.width(), text_height);
    if (columns.size() < 3 || rows.size() < 3) return;
    Table table{box, static_cast<int>(rows.size()) - 1, static_cast<int>(columns.size()) - 1, {}};
    std::vector<int> filled_rows, filled_columns;
    for (size_t i = 0; i < lines.size(); ++i) {
        const int column = stretch_of(columns, lines[i].box.x_center());
        const int row = stretch_of(rows, lines[i].core_middle_at(lines[i].box.x_center()));
        if (column < 0 || row < 0 || lines[i].row >= 0) continue;
        table.lines.push_back(static_cast<int>(i));
        filled_rows.push_back(row);
        filled_columns.push_back(column);
    }
    if (n_different(filled_rows) < 2 || n_different(filled_columns) < 2) return;
    for (size_t i = 0; i < table.lines.size(); ++i) {
        TextLine& line = lines[static_cast<size_t>(table.lines[i])];
        line.row = filled_rows[i];
        line.column = filled_columns[i];
    }
    sort_cells(lines, table);
    found.push_back(std::move(table));
}

// Lines on one baseline, from left to right; rows from top to bottom.
std::vector<std::vector<int>> rows_of(const std::vector<TextLine>& lines) {
    std::vector<int> members;
    for (size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].row < 0) members.push_back(static_cast<int>(i));
    }
    const auto line = [&](int i) -> const TextLine& { return lines[static_cast<size_t>(i)]; };
    std::stable_sort(members.begin(), members.end(),
                     [&](int i, int j) { return line(i).base < line(j).base; });
    std::vector<std::vector<int>> rows;
    for (const int i : members) {
        const bool same = !rows.empty() &&
                          line(i).base - line(rows.back().front()).base <
                              0.5f * std::max(line(i).x_height, line(rows.back().front()).x_height);
        if (!same) rows.emplace_back();
        rows.back().push_back(i);
    }
    for (std::vector<int>& row : rows) {
        std::stable_sort(row.begin(), row.end(),
                         [&](int i, int j) { return line(i).box.left < line(j).box.left; });
    }
    return rows;
}

// The columns of the rows of a table, which grow as rows are added.
class Columns {
public:
    explicit Columns(float x_height) : gap_(static_cast<int>(kColumnGap * x_height)) {}

    size_t size() const { return intervals_.size(); }

    // Adds a row if each of its lines is in one column and no two are in the same.
    bool add(const std::vector<TextLine>& lines, const std::vector<int>& row) {
        std::vector<Interval> next = intervals_;
        size_t previous = intervals_.size();
        for (const int i : row) {
            const Box& box = lines[static_cast<size_t>(i)].box;
            size_t own = intervals_.size();
            for (size_t j = 0; j < intervals_.size(); ++j) {
                if (overlap(box.left, box.right, intervals_[j].from, intervals_[j].to) <= -gap_)
                    continue;
                if (own < intervals_.size() || j == previous) return false;
                own = j;
            }
            if (own == intervals_.size()) {
                if (!intervals_.empty()) return false;
                next.push_back({box.left, box.right});
            } else {
                next[own] = {std::min(next[own].from, box.left), std::max(next[own].to, box.right)};
                previous = own;
            }
        }
        for (size_t j = 1; j < next.size(); ++j) {
            if (next[j].from - next[j - 1].to < gap_) return false;
        }
        intervals_ = std::move(next);
        return true;
    }

    int column_of(const Box& box) const {
        int best = 0, most = -(1 << 30);
        for (size_t j = 0; j < intervals_.size(); ++j) {
            const int shared = overlap(box.left, box.right, intervals_[j].from, intervals_[j].to);
            if (shared > most) most = shared, best = static_cast<int>(j);
        }
        return best;
    }

private:
    int gap_;
    std::vector<Interval> intervals_;
};

bool follows(const std::vector<TextLine>& lines, const std::vector<int>& above,
             const std::vector<int>& below) {
    const TextLine& a = lines[static_cast<size_t>(above.front())];
    const TextLine& b = lines[static_cast<size_t>(below.front())];
    const float high = std::max(a.x_height, b.x_height);
    return b.base - a.base < kRowGap * high && std::min(a.x_height, b.x_height) > 0.7f * high;
}

bool is_prose(const std::vector<TextLine>& lines, const std::vector<int>& members) {
    size_t n_wide = 0;
    for (const int i : members) {
        const TextLine& line = lines[static_cast<size_t>(i)];
        n_wide += static_cast<float>(line.box.width()) > kProseWidth * line.x_height;
    }
    return 3 * n_wide > members.size();
}

// The table that begins with a row, if one does; its rows are taken from it on.
size_t take_aligned(const std::vector<std::vector<int>>& rows, size_t first,
                    std::vector<TextLine>& lines, std::vector<Table>& found) {
    if (rows[first].size() < kLeastAligned) return 1;
    Columns columns(lines[static_cast<size_t>(rows[first].front())].x_height);
    size_t last = first, n_filled = 0;
    std::vector<int> members;
    for (; last < rows.size(); ++last) {
        const bool fits = last == first || (2 * rows[last].size() >= columns.size() &&
                                            follows(lines, rows[last - 1], rows[last]));
        if (!fits || !columns.add(lines, rows[last])) break;
        n_filled += rows[last].size();
        members.insert(members.end(), rows[last].begin(), rows[last].end());
    }
    const size_t n_rows = last - first;
    if (n_rows < kLeastAligned || columns.size() < kLeastAligned || is_prose(lines, members) ||
        static_cast<float>(n_filled) < kLeastFilled * static_cast<float>(n_rows * columns.size()))
        return 1;
    Table table{lines[static_cast<size_t>(members.front())].box, static_cast<int>(n_rows),
                static_cast<int>(columns.size()), members};
    for (size_t row = first; row < last; ++row) {
        for (const int i : rows[row]) {
            TextLine& line = lines[static_cast<size_t>(i)];
            line.row = static_cast<int>(row - first);
            line.column = columns.column_of(line.box);
        }
    }
    sort_cells(lines, table);
    found.push_back(std::move(table));
    return n_rows;
}

}  // namespace

std::vector<Table> find_tables(const std::vector<Box>& rules, int text_height,
                               std::vector<TextLine>& lines) {
    std::vector<Table> found;
    if (rules.size() <= kMostRules) {
        for (const std::vector<size_t>& grid : grids_of(rules, text_height)) {
            if (grid.size() >= 4) take_grid(rules, grid, text_height, lines, found);
        }
    }
    const std::vector<std::vector<int>> rows = rows_of(lines);
    for (size_t i = 0; i < rows.size();) i += take_aligned(rows, i, lines, found);
    return found;
}

}  // namespace crispvl::layout
