#include "layout/blocks.h"

#include <cmath>

#include "layout/reading_order.h"

namespace crispvl::layout {
namespace {

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
    std::vector<std::vector<int>> lines;
};

Units units_of(const std::vector<TextLine>& lines, const std::vector<Table>& tables) {
    Units units;
    const auto add = [&](const TextLine& line, const Box& box, const std::vector<int>& members) {
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
    std::vector<TextLine> ordered;
    std::vector<bool> begins_table;
    for (const int unit : reading_order(units.extents)) {
        const std::vector<int>& own = units.lines[static_cast<size_t>(unit)];
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
