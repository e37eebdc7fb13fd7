#include "layout/rules.h"

#include "layout/neighbours.h"

namespace crispvl::layout {
namespace {

constexpr int kGapPx = 1;           // a rule's interruptions that don't end it
constexpr float kLeastAspect = 12;  // length to thickness
constexpr float kFreeShare = 0.8f;  // of a short rule's length that no stroke touches
constexpr int kSureLengths = 3;     // least lengths from which on strokes may touch it anywhere
constexpr int kFringePx = 2;        // what may stick out of a rule without being a stroke

// The bitmap, or the bitmap with x and y exchanged.
struct View {
    Bitmap& ink;
    bool upright;  // rules run along y

    int length() const { return upright ? ink.height : ink.width; }
    int breadth() const { return upright ? ink.width : ink.height; }
    uint8_t& at(int along, int across) const {
        return upright ? ink.row(along)[across] : ink.row(across)[along];
    }
    Box box(const Box& b) const { return upright ? Box{b.top, b.left, b.bottom, b.right} : b; }
};

// Runs along the view of at least `least` px, in order of their place across it.
std::vector<Run> long_runs(const View& view, int least) {
    struct Open {
        int from = -1, to = -1;
    };
    std::vector<Run> runs;
    const auto close = [&](Open& open, int across) {
        if (open.from >= 0 && open.to - open.from >= least)
            runs.push_back({across, open.from, open.to});
        open = Open();
    };
    const auto extend = [&](Open& open, int along, int across) {
        if (open.from >= 0 && along - open.to > kGapPx) close(open, across);
        if (open.from < 0) open.from = along;
        open.to = along + 1;
    };
    // Always in the order of memory.
    std::vector<Open> open(static_cast<size_t>(view.ink.width));
    for (int y = 0; y < view.ink.height; ++y) {
        const uint8_t* row = view.ink.row(y);
        if (view.upright) {
            for (int x = 0; x < view.ink.width; ++x) {
                if (row[x]) extend(open[static_cast<size_t>(x)], y, x);
            }
        } else {
            Open one;
            for (int x = 0; x < view.ink.width; ++x) {
                if (row[x]) extend(one, x, y);
            }
            close(one, y);
        }
    }
    if (view.upright) {
        for (int x = 0; x < view.ink.width; ++x) close(open[static_cast<size_t>(x)], x);
        std::stable_sort(runs.begin(), runs.end(),
                         [](const Run& a, const Run& b) { return a.y < b.y; });
    }
    return runs;
}

// The rule's rows at each place along it; none where from >= to.
struct Extent {
    std::vector<int> from, to;
};

// How far ink goes on beyond the rule at one place, up to one px more than a fringe.
int ink_before(const View& view, int along, int from) {
    int n = 0;
    while (n <= kFringePx && from - n > 0 && view.at(along, from - n - 1)) ++n;
    return n;
}

int ink_after(const View& view, int along, int to) {
    int n = 0;
    while (n <= kFringePx && to + n < view.breadth() && view.at(along, to + n)) ++n;
    return n;
}

// Erases the rule at one place along it, unless a stroke crosses there.
void erase_across(const View& view, int along, int from, int to) {
    const int before = ink_before(view, along, from), after = ink_after(view, along, to);
    if (before > kFringePx && after > kFringePx) return;
    const int first = before > kFringePx ? from : from - before;
    const int last = after > kFringePx ? to : to + after;
    for (int i = first; i < last; ++i) view.at(along, i) = 0;
}

void set_extent(const Components& candidates, const Component& c, int breadth, Extent& extent) {
    std::fill(extent.from.begin() + c.box.left, extent.from.begin() + c.box.right, breadth);
    std::fill(extent.to.begin() + c.box.left, extent.to.begin() + c.box.right, -1);
    for (const Run* run = candidates.begin(c); run != candidates.end(c); ++run) {
        for (int i = run->from; i < run->to; ++i) {
            const size_t along = static_cast<size_t>(i);
            extent.from[along] = std::min(extent.from[along], run->y);
            extent.to[along] = std::max(extent.to[along], run->y + 1);
        }
    }
}

// Share of the rule's length at which no stroke touches it.
float free_share(const View& view, const Box& box, const Extent& extent) {
    int n_free = 0;
    for (int i = box.left; i < box.right; ++i) {
        const int from = extent.from[static_cast<size_t>(i)],
                  to = extent.to[static_cast<size_t>(i)];
        n_free += from < to && ink_before(view, i, from) <= kFringePx &&
                  ink_after(view, i, to) <= kFringePx;
    }
    return static_cast<float>(n_free) / static_cast<float>(std::max(1, box.width()));
}

void take(const View& view, int least_length, float most_thickness, std::vector<Box>& found) {
    Components candidates;
    group_runs(long_runs(view, least_length), 1, false, candidates);
    Extent extent{std::vector<int>(static_cast<size_t>(view.length())),
                  std::vector<int>(static_cast<size_t>(view.length()))};
    for (const Component& c : candidates.all) {
        const float length = static_cast<float>(c.box.width());
        const float thickness = static_cast<float>(c.area) / length;
        if (thickness > most_thickness || length < kLeastAspect * thickness) continue;
        set_extent(candidates, c, view.breadth(), extent);
        // The arches of letters that touch make runs too, but with stems at them.
        const bool alone = free_share(view, c.box, extent) >= kFreeShare;
        if (!alone && c.box.width() < kSureLengths * least_length) continue;
        found.push_back(view.box(c.box));
        for (int i = c.box.left; i < c.box.right; ++i) {
            const int from = extent.from[static_cast<size_t>(i)],
                      to = extent.to[static_cast<size_t>(i)];
            if (from < to) erase_across(view, i, from, to);
        }
    }
}

}  // namespace

std::vector<Box> take_rules(Bitmap& ink, int text_height) {
    std::vector<Box> found;
    const float thickness = std::max(3.0f, 0.4f * static_cast<float>(text_height));
    take({ink, false}, std::max(24, 4 * text_height), thickness, found);
    take({ink, true}, std::max(24, 3 * text_height), thickness, found);
    return found;
}

void drop_splinters(const std::vector<Box>& rules, int text_height, Components& components) {
    std::vector<Box> boxes;
    for (const Component& c : components.all) boxes.push_back(c.box);
    const BoxIndex index(boxes, text_height);
    const int reach = 2 * text_height;
    for (const Box& rule : rules) {
        const bool level = rule.width() > rule.height();
        if (2 * std::min(rule.width(), rule.height()) > text_height) continue;  // askew
        const Box course = level ? Box{rule.left - reach, rule.top - kFringePx, rule.right + reach,
                                       rule.bottom + kFringePx}
                                 : Box{rule.left - kFringePx, rule.top - reach,
                                       rule.right + kFringePx, rule.bottom + reach};
        index.each_between(course, course.left, course.right, [&](size_t i) {
            const Box& box = boxes[i];
            const int breadth = level ? box.height() : box.width();
            const bool within = 3 * breadth <= text_height && box.left >= course.left &&
                                box.right <= course.right && box.top >= course.top &&
                                box.bottom <= course.bottom;
            if (within) components.all[i].area = 0;
        });
    }
    const auto dropped = [](const Component& c) { return c.area == 0; };
    components.all.erase(std::remove_if(components.all.begin(), components.all.end(), dropped),
                         components.all.end());
}

}  // namespace crispvl::layout
