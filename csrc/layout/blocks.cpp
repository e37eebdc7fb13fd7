#include "layout/blocks.h"

#include <cmath>
#include <numeric>

namespace crispvl::layout {
namespace {

using Indices = std::vector<int>;

constexpr float kStray = 2;       // in x-heights, by which a line may reach into a gutter
constexpr float kGutter = 2.5f;   // in x-heights, beyond the least that lines reach
constexpr float kLeastWidth = 4;  // in x-heights, of lines that tell where columns are

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

// Whether lines fill a column as running text does: most are nearly as wide as the column, and
// that holds more than a few letters.
bool is_prose(const std::vector<TextLine>& lines, const Indices& members, float x_height) {
    if (members.size() < 4) return false;
    Box box = lines[static_cast<size_t>(members.front())].box;
    for (const int i : members) box.include(lines[static_cast<size_t>(i)].box);
    if (static_cast<float>(box.width()) < 16 * x_height) return false;
    size_t n_full = 0;
    for (const int i : members) {
        n_full += 10 * lines[static_cast<size_t>(i)].box.width() >= 7 * box.width();
    }
    return 2 * n_full >= members.size();
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

// A recursive cut along white space (Nagy and Seth 1984): columns of prose from left to right,
// everything else from top to bottom.
void order(const std::vector<TextLine>& lines, Indices members, int depth, Indices& out) {
    if (members.size() > 1 && depth < 64) {
        const std::vector<int> gutters =
            gutters_of(lines, members, median_x_height(lines, members));
        if (!gutters.empty()) {
            for (Indices& column : parts_of(lines, members, gutters)) {
                if (!column.empty()) order(lines, std::move(column), depth + 1, out);
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

// From a line's baseline to that of one of its kind below it; 0 where it is none.
float pitch_below(const TextLine& a, const TextLine& b) {
    const float low = std::min(a.x_height, b.x_height), high = std::max(a.x_height, b.x_height);
    if (low < 0.72f * high || a.light != b.light) return 0;
    if (2 * x_overlap(a.box, b.box) <= std::min(a.box.width(), b.box.width())) return 0;
    const float x = b.box.x_center();
    const float pitch = b.baseline_at(x) - a.baseline_at(x);
    return pitch > 0 && pitch < 6.5f * high ? pitch : 0;
}

// Whether line `i` goes on where the one before it ends: close below, or as far below as the
// lines beside the two are from each other, as in double-spaced text.
bool continues(const std::vector<TextLine>& lines, size_t i) {
    if (lines[i].column >= 0 || lines[i - 1].column >= 0) return false;
    const float pitch = pitch_below(lines[i - 1], lines[i]);
    if (pitch == 0) return false;
    if (pitch < 3.6f * std::max(lines[i - 1].x_height, lines[i].x_height)) return true;
    const auto same = [&](float other) { return std::fabs(other - pitch) < 0.08f * pitch; };
    return (i >= 2 && same(pitch_below(lines[i - 2], lines[i - 1]))) ||
           (i + 1 < lines.size() && same(pitch_below(lines[i], lines[i + 1])));
}

// Lines as `order` looks at them, a table as one; and the lines of each.
struct Units {
    std::vector<TextLine> extents;
    std::vector<Indices> lines;
};

Units units_of(const std::vector<TextLine>& lines, const std::vector<Table>& tables) {
    Units units;
    const auto add = [&](const TextLine& line, const Box& box, const Indices& members) {
        TextLine extent;
        extent.box = box;
        extent.base = line.base;
        extent.core = line.core;
        extent.x_height = line.x_height;
        units.extents.push_back(std::move(extent));
        units.lines.push_back(members);
    };
    for (size_t i = 0; i < lines.size(); ++i) {
        if (lines[i].column < 0) add(lines[i], lines[i].box, {static_cast<int>(i)});
    }
    for (const Table& table : tables)
        add(lines[static_cast<size_t>(table.lines.front())], table.box, table.lines);
    return units;
}

}  // namespace

std::vector<TextBlock> find_blocks(const std::vector<Table>& tables, std::vector<TextLine>& lines) {
    const Units units = units_of(lines, tables);
    Indices members(units.extents.size()), sorted;
    std::iota(members.begin(), members.end(), 0);
    if (!members.empty()) order(units.extents, members, 0, sorted);
    std::vector<TextLine> ordered;
    std::vector<bool> begins_table;
    for (const int unit : sorted) {
        const Indices& own = units.lines[static_cast<size_t>(unit)];
        for (const int line : own) {
            ordered.push_back(std::move(lines[static_cast<size_t>(line)]));
            begins_table.push_back(ordered.back().column >= 0 && line == own.front());
        }
    }
    lines = std::move(ordered);
    std::vector<TextBlock> blocks;
    for (size_t i = 0; i < lines.size(); ++i) {
        const bool in_table = lines[i].column >= 0;
        const bool begins = in_table ? begins_table[i] : i == 0 || !continues(lines, i);
        if (begins) blocks.push_back({in_table, lines[i].box, {}});
        blocks.back().box.include(lines[i].box);
        blocks.back().lines.push_back(static_cast<int>(i));
        lines[i].block = static_cast<int>(blocks.size()) - 1;
    }
    return blocks;
}

}  // namespace crispvl::layout
