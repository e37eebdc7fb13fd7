#include "layout/regions.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace crispvl {
namespace {

// x-height on a tile from which on print is read well; smaller print is cut out and enlarged.
constexpr double kLegiblePx = 10;
// Most regions, and so answers, of a page.
constexpr size_t kMostRegions = 32;
// Between columns white is rarer than between rows, and has to be wider than between words: times
// the x-height.
constexpr double kColumnGap = 1.5;

// A line of the page; `number` counts in reading order.
struct Text {
    int number;
    Region box;
    double x_height;  // px
};
using Group = std::vector<Text>;

Region around(const Quad& quad) {
    Region box{quad[0].x, quad[0].y, quad[0].x, quad[0].y};
    for (const layout::Point& p : quad) {
        box = {std::min<double>(box.left, p.x), std::min<double>(box.top, p.y),
               std::max<double>(box.right, p.x), std::max<double>(box.bottom, p.y)};
    }
    return box;
}

Group texts_of(const Layout& layout) {
    Group texts;
    for (const LayoutLine& line : layout.lines) {
        texts.push_back({static_cast<int>(texts.size()), around(line.quad), line.x_height});
    }
    return texts;
}

double median_x_height(const Group& group) {
    std::vector<double> heights;
    for (const Text& text : group) heights.push_back(text.x_height);
    std::sort(heights.begin(), heights.end());
    return (heights[(heights.size() - 1) / 2] + heights[heights.size() / 2]) / 2;
}

// By how much a picture is enlarged on its tiles, in its tighter axis.
double scale_of(const Region& box, const TilingConfig& tiling) {
    const double width = box.right - box.left, height = box.bottom - box.top;
    const Grid grid = choose_grid(static_cast<int64_t>(std::nearbyint(width)),
                                  static_cast<int64_t>(std::nearbyint(height)), tiling);
    const auto tile_px = static_cast<double>(tiling.tile_px);
    return std::min(static_cast<double>(grid.columns) * tile_px / width,
                    static_cast<double>(grid.rows) * tile_px / height);
}

bool is_legible_in(const Region& box, const Group& group, const TilingConfig& tiling) {
    return scale_of(box, tiling) * median_x_height(group) >= kLegiblePx;
}

Region whole(const Layout& layout) {
    return {0, 0, static_cast<double>(layout.width), static_cast<double>(layout.height)};
}

// The place of some lines, with the white of half a line around them.
Region bounds(const Group& group, const Region& page) {
    const double margin = median_x_height(group);
    Region box = group.front().box;
    for (const Text& text : group) {
        box = {std::min(box.left, text.box.left), std::min(box.top, text.box.top),
               std::max(box.right, text.box.right), std::max(box.bottom, text.box.bottom)};
    }
    return {std::max(page.left, box.left - margin), std::max(page.top, box.top - margin),
            std::min(page.right, box.right + margin), std::min(page.bottom, box.bottom + margin)};
}

struct Gap {
    double width, middle;
};

// Of the gaps between intervals the widest, the first of several.
std::optional<Gap> widest_gap(std::vector<std::pair<double, double>> intervals) {
    std::sort(intervals.begin(), intervals.end());
    std::optional<Gap> widest;
    double reach = intervals.front().first;
    for (const auto& [from, to] : intervals) {
        if (from > reach && (!widest || from - reach > widest->width)) {
            widest = Gap{from - reach, (reach + from) / 2};
        }
        reach = std::max(reach, to);
    }
    return widest;
}

// Lines in two parts with the widest white between them; none where there is no white.
std::optional<std::pair<Group, Group>> cut(const Group& group) {
    std::vector<std::pair<double, double>> across, down;
    for (const Text& text : group) {
        across.emplace_back(text.box.left, text.box.right);
        down.emplace_back(text.box.top, text.box.bottom);
    }
    const std::optional<Gap> column = widest_gap(across), row = widest_gap(down);
    const bool at_column = column && column->width > kColumnGap * median_x_height(group);
    if (!at_column && !row) return std::nullopt;
    std::pair<Group, Group> parts;
    for (const Text& text : group) {
        const bool is_after =
            at_column ? text.box.left >= column->middle : text.box.top >= row->middle;
        (is_after ? parts.second : parts.first).push_back(text);
    }
    return parts;
}

int first_number(const Group& group) {
    const auto earlier = [](const Text& a, const Text& b) { return a.number < b.number; };
    return std::min_element(group.begin(), group.end(), earlier)->number;
}

}  // namespace

bool is_legible(const Layout& layout, const TilingConfig& tiling) {
    return layout.lines.empty() || is_legible_in(whole(layout), texts_of(layout), tiling);
}

std::vector<Region> find_regions(const Layout& layout, const TilingConfig& tiling) {
    const Region page = whole(layout);
    if (is_legible(layout, tiling)) return {page};
    std::vector<Group> open{texts_of(layout)}, done;
    while (!open.empty()) {
        Group group = std::move(open.back());
        open.pop_back();
        std::optional<std::pair<Group, Group>> parts;
        const bool has_room = open.size() + done.size() + 2 <= kMostRegions;
        if (has_room && !is_legible_in(bounds(group, page), group, tiling)) parts = cut(group);
        if (parts) {
            open.push_back(std::move(parts->first));
            open.push_back(std::move(parts->second));
        } else {
            done.push_back(std::move(group));
        }
    }
    std::sort(done.begin(), done.end(),
              [](const Group& a, const Group& b) { return first_number(a) < first_number(b); });
    std::vector<Region> regions;
    for (const Group& group : done) regions.push_back(bounds(group, page));
    return regions;
}

}  // namespace crispvl
