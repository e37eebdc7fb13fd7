#include "layout/blocks.h"

#include <cmath>

#include "layout/neighbours.h"
#include "layout/reading_order.h"

namespace crispvl::layout {
namespace {

constexpr float kWordGap = 2;  // in x-heights, within a line

// Whether lines are of one size, and both dark or both light.
bool alike(const TextLine& a, const TextLine& b) {
    const float low = std::min(a.x_height, b.x_height), high = std::max(a.x_height, b.x_height);
    return low >= 0.72f * high && a.light == b.light;
}

// From a line's baseline to that of one of its kind below it; 0 where it is none.
float pitch_below(const TextLine& a, const TextLine& b) {
    if (!alike(a, b)) return 0;
    if (2 * x_overlap(a.box, b.box) <= std::min(a.box.width(), b.box.width())) return 0;
    const float x = b.box.x_center();
    const float pitch = b.baseline_at(x) - a.baseline_at(x);
    return pitch > 0 && pitch < 6.5f * std::max(a.x_height, b.x_height) ? pitch : 0;
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

// Lines of one row that only word gaps part, as justified text and headlines have them.
std::vector<std::vector<size_t>> pieces_of_rows(const std::vector<TextLine>& lines) {
    const std::vector<Box> boxes = boxes_of(lines);
    float tallest = 1;
    for (const TextLine& line : lines) tallest = std::max(tallest, line.x_height);
    const BoxIndex index(boxes, static_cast<int>(2 * tallest));
    Sets sets(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
        const TextLine& line = lines[i];
        const int reach = static_cast<int>(kWordGap * line.x_height);
        index.each_between(line.box, line.box.left + 1, line.box.right + reach, [&](size_t j) {
            const TextLine& next = lines[j];
            const float low = std::min(line.x_height, next.x_height);
            if (line.column >= 0 || next.column >= 0 || !alike(line, next)) return;
            const int lower = std::min(line.box.height(), next.box.height());
            const float gap = static_cast<float>(next.box.left - line.box.right);
            if (2 * y_overlap(line.box, next.box) >= lower && gap < kWordGap * low)
                sets.unite(i, j);
        });
    }
    return sets.groups();
}

// What has one place in the order: pieces of a row, or a table; and the lines of each.
struct Units {
    std::vector<TextLine> extents;
    std::vector<std::vector<int>> lines;
};

Units units_of(const std::vector<TextLine>& lines, const std::vector<Table>& tables) {
    Units units;
    const auto add = [&](const std::vector<int>& members) {
        const TextLine& first = lines[static_cast<size_t>(members.front())];
        TextLine extent;
        extent.box = first.box;
        extent.light = first.light;
        extent.slope = first.slope;
        extent.base = first.base;
        extent.core = first.core;
        extent.x_height = first.x_height;
        extent.column = first.column;
        for (const int i : members) extent.box.include(lines[static_cast<size_t>(i)].box);
        units.extents.push_back(std::move(extent));
        units.lines.push_back(members);
    };
    for (const std::vector<size_t>& pieces : pieces_of_rows(lines)) {
        if (lines[pieces.front()].column >= 0) continue;
        std::vector<int> members(pieces.begin(), pieces.end());
        std::stable_sort(members.begin(), members.end(), [&](int i, int j) {
            return lines[static_cast<size_t>(i)].box.left < lines[static_cast<size_t>(j)].box.left;
        });
        add(members);
    }
    for (const Table& table : tables) {
        add(table.lines);
        units.extents.back().box = table.box;
    }
    return units;
}

}  // namespace

std::vector<TextBlock> find_blocks(const std::vector<Table>& tables, std::vector<TextLine>& lines) {
    const Units units = units_of(lines, tables);
    const std::vector<int> order = reading_order(units.extents);
    std::vector<TextLine> ordered, extents;
    for (const int unit : order) extents.push_back(units.extents[static_cast<size_t>(unit)]);
    std::vector<TextBlock> blocks;
    for (size_t k = 0; k < order.size(); ++k) {
        if (k == 0 || !continues(extents, k))
            blocks.push_back({extents[k].column >= 0, extents[k].box, {}});
        blocks.back().box.include(extents[k].box);
        for (const int i : units.lines[static_cast<size_t>(order[k])]) {
            blocks.back().lines.push_back(static_cast<int>(ordered.size()));
            ordered.push_back(std::move(lines[static_cast<size_t>(i)]));
            ordered.back().block = static_cast<int>(blocks.size()) - 1;
        }
    }
    lines = std::move(ordered);
    return blocks;
}

}  // namespace crispvl::layout
