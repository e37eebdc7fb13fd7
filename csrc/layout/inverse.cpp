#include "layout/inverse.h"

namespace crispvl::layout {
namespace {

constexpr float kLeastFill = 0.5f;                        // of its box that a bar covers
constexpr float kLeastEdge = 0.8f;                        // of its upper and lower edge that is ink
constexpr float kLeastHeight = 1.3f, kLeastWidth = 2.5f;  // in letters

struct Span {
    int from = 1 << 30, to = -1;  // px
    int inked = 0;
};

// For each row of a component how far it reaches, and how much of that is ink.
std::vector<Span> spans_of(const Components& components, const Component& c) {
    std::vector<Span> rows(static_cast<size_t>(c.box.height()));
    for (const Run* run = components.begin(c); run != components.end(c); ++run) {
        Span& row = rows[static_cast<size_t>(run->y - c.box.top)];
        row.from = std::min(row.from, run->from);
        row.to = std::max(row.to, run->to);
        row.inked += run->to - run->from;
    }
    return rows;
}

// Share of ink within a bar's outermost rows, a tenth of its height at each end.
float edge_share(const std::vector<Span>& rows, int width) {
    const size_t depth = std::max<size_t>(1, rows.size() / 10);
    int inked = 0;
    for (size_t i = 0; i < depth; ++i) inked += rows[i].inked + rows[rows.size() - 1 - i].inked;
    return static_cast<float>(inked) / static_cast<float>(2 * depth * static_cast<size_t>(width));
}

bool is_bar(const Components& components, const Component& c, int text_height) {
    const float letter = static_cast<float>(text_height);
    const float height = static_cast<float>(c.box.height()),
                width = static_cast<float>(c.box.width());
    if (height < kLeastHeight * letter || width < kLeastWidth * letter) return false;
    if (static_cast<float>(c.area) < kLeastFill * height * width) return false;
    return edge_share(spans_of(components, c), c.box.width()) >= kLeastEdge;
}

}  // namespace

void open_bars(Ink& ink, int text_height) {
    Components components;
    find_components(ink.dark, false, components);
    for (const Component& c : components.all) {
        if (!is_bar(components, c, text_height)) continue;
        if (ink.light.empty()) ink.light = Bitmap(ink.dark.width, ink.dark.height);
        const std::vector<Span> rows = spans_of(components, c);
        for (int y = c.box.top; y < c.box.bottom; ++y) {
            const Span& span = rows[static_cast<size_t>(y - c.box.top)];
            uint8_t* dark = ink.dark.row(y);
            uint8_t* light = ink.light.row(y);
            for (int x = span.from; x < span.to; ++x) {
                light[x] = !dark[x];
                dark[x] = 0;  // what is left within letters too
            }
        }
    }
}

}  // namespace crispvl::layout
