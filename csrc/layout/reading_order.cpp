#include "layout/reading_order.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <numeric>

#include "layout/neighbours.h"

namespace crispvl::layout {
namespace {

using Indices = std::vector<int>;

constexpr float kStray = 2;       // in x-heights, by which a line may reach into a gutter
constexpr float kGutter = 2.5f;   // in x-heights, beyond the least that lines reach
constexpr float kLeastWidth = 4;  // in x-heights, of lines that tell where columns are
constexpr float kLeastColumn = 16, kLeastRow = 8;  // the same, of columns of prose and their rows

struct Stretch {
    int from = 0, to = 0;
};

// Parts of an axis without any line, between the first and the last; of each line the outermost px
// at both ends don't count.
std::vector<Stretch> free_stretches(const std::vector<TextLine>& lines, const Indices& members,
                                    bool vertical, int uncounted_px) {
    std::vector<Stretch> taken;
    for (const int i : members) {
        const Box& box = lines[static_cast<size_t>(i)].box;
        const Stretch all = vertical ? Stretch{box.top, box.bottom} : Stretch{box.left, box.right};
        taken.push_back({all.from + uncounted_px, all.to - uncounted_px});
    }
    std::sort(taken.begin(), taken.end(),
              [](const Stretch& a, const Stretch& b) { return a.from < b.from; });
    std::vector<Stretch> free;
    int end = taken.front().to;
    for (const Stretch& s : taken) {
        if (s.from > end) free.push_back({end, s.from});
        end = std::max(end, s.to);
    }
    return free;
}

float median_x_height(const std::vector<TextLine>& lines, const Indices& members) {
    std::vector<float> heights;
    for (const int i : members) heights.push_back(lines[static_cast<size_t>(i)].x_height);
    std::nth_element(heights.begin(),
                     heights.begin() + static_cast<std::ptrdiff_t>(heights.size() / 2),
                     heights.end());
    return heights[heights.size() / 2];
}

// From the first to the last line of each row, downwards.
std::vector<Box> rows_of(const std::vector<TextLine>& lines, const Indices& members) {
    std::vector<Box> boxes, rows;
    for (const int i : members) boxes.push_back(lines[static_cast<size_t>(i)].box);
    std::stable_sort(boxes.begin(), boxes.end(),
                     [](const Box& a, const Box& b) { return a.y_center() < b.y_center(); });
    for (const Box& box : boxes) {
        if (!rows.empty() && box.y_center() < static_cast<float>(rows.back().bottom) &&
            2 * y_overlap(rows.back(), box) >= std::min(rows.back().height(), box.height())) {
            rows.back().include(box);
        } else {
            rows.push_back(box);
        }
    }
    return rows;
}

// Whether lines fill a column as running text does, in which more than a few letters have room:
// most rows are nearly as wide as it, or end where one next to them does, as beside a picture.
bool is_prose(const std::vector<TextLine>& lines, const Indices& members, float x_height) {
    const std::vector<Box> rows = rows_of(lines, members);
    if (rows.size() < 4) return false;
    Box column = rows.front();
    for (const Box& row : rows) column.include(row);
    if (static_cast<float>(column.width()) < kLeastColumn * x_height) return false;
    const auto near = [&](int x, int y) { return static_cast<float>(std::abs(x - y)) < x_height; };
    // Labels are often of one width by chance, as short words are.
    const auto flush = [&](const Box& a, const Box& b) {
        return static_cast<float>(a.width()) >= kLeastRow * x_height && near(a.left, b.left) &&
               near(a.right, b.right);
    };
    size_t n_full = 0;
    for (size_t k = 0; k < rows.size(); ++k) {
        const bool wide = 10 * rows[k].width() >= 7 * column.width();
        n_full += wide || (k > 0 && flush(rows[k], rows[k - 1])) ||
                  (k + 1 < rows.size() && flush(rows[k], rows[k + 1]));
    }
    return 2 * n_full >= rows.size();
}

void sort_rows(const std::vector<TextLine>& lines, Indices& members) {
    std::stable_sort(members.begin(), members.end(), [&](int i, int j) {
        return lines[static_cast<size_t>(i)].box.y_center() <
               lines[static_cast<size_t>(j)].box.y_center();
    });
    size_t begin = 0;
    while (begin < members.size()) {
        const TextLine& first = lines[static_cast<size_t>(members[begin])];
        size_t end = begin + 1;
        for (; end < members.size(); ++end) {
            const TextLine& line = lines[static_cast<size_t>(members[end])];
            const float low = std::min(first.core, line.core);
            const float middle_a = first.base - 0.5f * first.core,
                        middle_b = line.base - 0.5f * line.core;
            if (std::fabs(middle_a - middle_b) >
                0.6f * std::max(low, 0.5f * std::max(first.core, line.core)))
                break;
        }
        std::stable_sort(members.begin() + static_cast<std::ptrdiff_t>(begin),
                         members.begin() + static_cast<std::ptrdiff_t>(end), [&](int i, int j) {
                             return lines[static_cast<size_t>(i)].box.left <
                                    lines[static_cast<size_t>(j)].box.left;
                         });
        begin = end;
    }
}

Indices part(const std::vector<TextLine>& lines, const Indices& members, int limit, bool first) {
    Indices found;
    for (const int i : members) {
        const Box& box = lines[static_cast<size_t>(i)].box;
        if ((box.top + box.bottom < 2 * limit) == first) found.push_back(i);
    }
    return found;
}

// The part of a row of stretches, which end at `limits`, that holds the middle of a line.
size_t part_of(const TextLine& line, const std::vector<int>& limits) {
    const auto after =
        std::upper_bound(limits.begin(), limits.end(), (line.box.left + line.box.right) / 2);
    return static_cast<size_t>(after - limits.begin());
}

std::vector<Indices> parts_of(const std::vector<TextLine>& lines, const Indices& members,
                              const std::vector<int>& limits) {
    std::vector<Indices> parts(limits.size() + 1);
    for (const int i : members) parts[part_of(lines[static_cast<size_t>(i)], limits)].push_back(i);
    return parts;
}

// Where columns of prose beside each other part.
std::vector<int> gutters_of(const std::vector<TextLine>& lines, const Indices& members,
                            float x_height) {
    // A page number or a splinter in a gutter does not end it.
    Indices wide;
    for (const int i : members) {
        const float width = static_cast<float>(lines[static_cast<size_t>(i)].box.width());
        if (width >= kLeastWidth * x_height) wide.push_back(i);
    }
    if (wide.empty()) return {};
    std::vector<int> limits, gutters;
    const int uncounted_px = static_cast<int>(kStray * x_height);
    for (const Stretch& s : free_stretches(lines, wide, false, uncounted_px)) {
        if (static_cast<float>(s.to - s.from) >= kGutter * x_height)
            limits.push_back((s.from + s.to) / 2);
    }
    const std::vector<Indices> columns = parts_of(lines, wide, limits);
    for (size_t i = 0; i < limits.size(); ++i) {
        if (is_prose(lines, columns[i], x_height) && is_prose(lines, columns[i + 1], x_height))
            gutters.push_back(limits[i]);
    }
    return gutters;
}

// Lines that have others at both sides, in their row or half a row off.
Indices islands_of(const std::vector<TextLine>& lines, const Indices& members, float x_height) {
    std::vector<Box> boxes;
    for (const int i : members) boxes.push_back(lines[static_cast<size_t>(i)].box);
    const BoxIndex index(boxes, static_cast<int>(2 * x_height));
    Indices islands;
    for (size_t k = 0; k < boxes.size(); ++k) {
        bool before = false, after = false;
        Box row = boxes[k];
        row.top -= static_cast<int>(x_height);
        row.bottom += static_cast<int>(x_height);
        index.each_between(row, std::numeric_limits<int>::min(), std::numeric_limits<int>::max(),
                           [&](size_t j) {
                               const Box& other = boxes[j];
                               if (y_overlap(row, other) <= 0) return;
                               before = before || other.right <= row.left;
                               after = after || other.left >= row.right;
                           });
        if (before && after) islands.push_back(members[k]);
    }
    return islands;
}

// Which islands are over a gutter, themselves or by the lines that they follow or precede.
std::vector<bool> over_gutters(const std::vector<TextLine>& lines, const Indices& islands,
                               const std::vector<int>& gutters, float x_height) {
    const auto box_of = [&](size_t k) { return lines[static_cast<size_t>(islands[k])].box; };
    std::vector<size_t> rows(islands.size());
    std::iota(rows.begin(), rows.end(), size_t{0});
    std::stable_sort(rows.begin(), rows.end(),
                     [&](size_t a, size_t b) { return box_of(a).top < box_of(b).top; });
    std::vector<bool> over(islands.size());
    for (size_t k = 0; k < islands.size(); ++k) {
        const Box box = box_of(k);
        const auto gutter = std::upper_bound(gutters.begin(), gutters.end(), box.left);
        over[k] = gutter != gutters.end() && *gutter < box.right;
    }
    const auto spread = [&](auto begin, auto end) {
        const Box* last = nullptr;
        for (auto it = begin; it != end; ++it) {
            const Box& box = lines[static_cast<size_t>(islands[*it])].box;
            over[*it] = over[*it] || (last && x_overlap(*last, box) > 0 &&
                                      -y_overlap(*last, box) < static_cast<int>(2 * x_height));
            if (over[*it]) last = &box;
        }
    };
    spread(rows.begin(), rows.end());
    spread(rows.rbegin(), rows.rend());
    return over;
}

size_t nearest(const std::vector<int>& gutters, const Box& box) {
    const auto off = [&](int x) { return std::abs(2 * x - box.left - box.right); };
    const auto closest = std::min_element(gutters.begin(), gutters.end(),
                                          [&](int a, int b) { return off(a) < off(b); });
    return static_cast<size_t>(closest - gutters.begin());
}

// Columns of prose from left to right, and what is set between two of them; none where the lines
// are in no such columns.
std::vector<Indices> columns_of(const std::vector<TextLine>& lines, const Indices& members) {
    const float x_height = median_x_height(lines, members);
    std::vector<int> gutters = gutters_of(lines, members, x_height);
    if (!gutters.empty()) return parts_of(lines, members, gutters);
    // A caption or a quotation may be set between two columns, around which their text flows.
    const Indices islands = islands_of(lines, members, x_height);
    Indices rest;
    for (const int i : members) {
        if (!std::binary_search(islands.begin(), islands.end(), i)) rest.push_back(i);
    }
    if (!islands.empty() && !rest.empty()) gutters = gutters_of(lines, rest, x_height);
    if (gutters.empty()) return {};
    std::vector<Indices> columns, between(gutters.size());
    const std::vector<bool> crosses = over_gutters(lines, islands, gutters, x_height);
    for (size_t k = 0; k < islands.size(); ++k) {
        const TextLine& line = lines[static_cast<size_t>(islands[k])];
        (crosses[k] ? between[nearest(gutters, line.box)] : rest).push_back(islands[k]);
    }
    std::sort(rest.begin(), rest.end());
    std::vector<Indices> parts = parts_of(lines, rest, gutters);
    for (size_t k = 0; k < parts.size(); ++k) {
        columns.push_back(std::move(parts[k]));
        if (k < between.size()) columns.push_back(std::move(between[k]));
    }
    return columns;
}

// A recursive cut along white space (Nagy and Seth 1984): columns of prose from left to right,
// everything else from top to bottom.
void order(const std::vector<TextLine>& lines, Indices members, int depth, Indices& out) {
    if (members.size() > 1 && depth < 64) {
        std::vector<Indices> columns = columns_of(lines, members);
        if (!columns.empty()) {
            for (Indices& part : columns) {
                if (!part.empty()) order(lines, std::move(part), depth + 1, out);
            }
            return;
        }
        Stretch widest;
        for (const Stretch& s : free_stretches(lines, members, true, 0)) {
            if (s.to - s.from > widest.to - widest.from) widest = s;
        }
        if (widest.to > widest.from) {
            const int middle = (widest.from + widest.to) / 2;
            order(lines, part(lines, members, middle, true), depth + 1, out);
            order(lines, part(lines, members, middle, false), depth + 1, out);
            return;
        }
    }
    sort_rows(lines, members);
    out.insert(out.end(), members.begin(), members.end());
}

}  // namespace

std::vector<int> reading_order(const std::vector<TextLine>& lines) {
    Indices members(lines.size()), sorted;
    std::iota(members.begin(), members.end(), 0);
    if (!members.empty()) order(lines, std::move(members), 0, sorted);
    return sorted;
}

}  // namespace crispvl::layout
