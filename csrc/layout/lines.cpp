#include "layout/lines.h"

#include <cmath>

#include "layout/fragments.h"
#include "layout/gutters.h"
#include "layout/letters.h"
#include "layout/neighbours.h"
#include "layout/skew.h"
#include "layout/walls.h"

namespace crispvl::layout {
namespace {

constexpr float kLikeHeights = 0.45f;  // of the higher letter that two in a line share
constexpr float kLikeCores = 0.55f;    // of the higher core: two of one row are not less alike
constexpr float kLikeExtents = 1.35f;  // of the higher: how high both together may be
constexpr float kMostRatioOfLetters = 2.2f, kMostRatioOfGroups = 1.5f;  // of heights
constexpr float kLetterGap = 0.9f;  // in heights of the higher: gap to the next letter
constexpr float kSameBase = 0.3f;   // of the higher core that baselines of one row differ
constexpr float kFreeGap = 0.7f;    // in cores: a gap that is no column's
constexpr float kWideGap = 1.4f;    // in cores: wider than a space of typewriters
constexpr int kRowsOfNarrow = 5,
              kRowsOfWide = 3;    // in which a gap goes on if it is a column's
constexpr float kMostGap = 3.5f;  // in cores: wider ones part lines

Piece whole(const Components& components, size_t i) {
    const Box& box = components.all[i].box;
    return {static_cast<int>(i), box.top, box.bottom};
}

void add(const Components& components, const Letter& letter, TextLine& line) {
    for (const size_t i : letter.components) line.pieces.push_back(whole(components, i));
}

bool is_letter(const Letter& c, int text_height) {
    const int height = c.box.height();
    return height >= 4 && c.area >= 6 && 3 * height >= text_height && c.box.width() >= 2 &&
           height <= 12 * text_height && c.box.width() <= 40 * height;
}

// A letter and the next one in its line.
struct Link {
    size_t from, to;
    float cost;  // how little they belong together
};

std::vector<Link> links_between(const std::vector<Letter>& letters, const std::vector<Box>& boxes,
                                const Walls& walls, int text_height) {
    const BoxIndex index(boxes, text_height);
    std::vector<Link> links;
    for (size_t i = 0; i < boxes.size(); ++i) {
        const Box& box = boxes[i];
        Box middle = box;  // whoever shares almost half of the height has part of this
        middle.top = box.top + 2 * box.height() / 5;
        middle.bottom = std::max(middle.top + 1, box.bottom - 2 * box.height() / 5);
        const int reach = static_cast<int>(2 * kLetterGap * static_cast<float>(box.height()));
        Link best{i, boxes.size(), 1e9f};
        index.each_between(middle, box.left + 1, box.right + reach, [&](size_t j) {
            const Box& other = boxes[j];
            const float higher = static_cast<float>(std::max(box.height(), other.height()));
            const float gap = static_cast<float>(other.left - box.right) / higher;
            if (gap >= best.cost || gap > kLetterGap || other.right <= box.right) return;
            if (static_cast<float>(y_overlap(box, other)) < kLikeHeights * higher) return;
            if (letters[i].light != letters[j].light || walls.part(box, other)) return;
            best = {i, j, gap};
        });
        if (best.to == boxes.size()) continue;
        const Box& next = boxes[best.to];
        const float higher = static_cast<float>(std::max(box.height(), next.height()));
        best.cost = std::max(0.0f, best.cost) +
                    std::fabs(static_cast<float>(box.height() - next.height())) / higher;
        links.push_back(best);
    }
    std::stable_sort(links.begin(), links.end(),
                     [](const Link& a, const Link& b) { return a.cost < b.cost; });
    return links;
}

// Letters with those that follow them, as lines of one or more. The surest links come first, and
// none joins two groups whose letters differ in size, so that sizes don't drift along a chain.
std::vector<TextLine> link_letters(const Components& components, const std::vector<Letter>& letters,
                                   const Walls& walls, int text_height) {
    std::vector<Box> boxes;
    for (const Letter& letter : letters) boxes.push_back(letter.box);
    Sets groups(boxes.size());
    std::vector<float> height_sum, n_letters(boxes.size(), 1.0f);
    for (const Box& box : boxes) height_sum.push_back(static_cast<float>(box.height()));
    for (const Link& link : links_between(letters, boxes, walls, text_height)) {
        const size_t a = groups.root(link.from), b = groups.root(link.to);
        if (a == b) continue;
        const float height_a = height_sum[a] / n_letters[a],
                    height_b = height_sum[b] / n_letters[b];
        const float ratio = std::max(height_a, height_b) / std::min(height_a, height_b);
        if (ratio >
            (std::min(n_letters[a], n_letters[b]) < 3 ? kMostRatioOfLetters : kMostRatioOfGroups))
            continue;
        groups.unite(a, b);
        const size_t root = std::min(a, b), other = std::max(a, b);
        height_sum[root] += height_sum[other];
        n_letters[root] += n_letters[other];
    }
    std::vector<TextLine> lines;
    for (const std::vector<size_t>& group : groups.groups()) {
        lines.emplace_back();
        for (const size_t i : group) add(components, letters[i], lines.back());
        lines.back().light = letters[group.front()].light;
        measure(components, lines.back());
    }
    return lines;
}

// Rows that two lines' cores share at x, in px.
float shared_core(const TextLine& a, const TextLine& b, float x) {
    const float base_a = a.baseline_at(x), base_b = b.baseline_at(x);
    return overlap(base_a - a.core, base_a, base_b - b.core, base_b);
}

bool same_row(const TextLine& a, const TextLine& b) {
    const float low = std::min(a.core, b.core), high = std::max(a.core, b.core);
    if (a.light != b.light || low < kLikeCores * high) return false;
    const float x = 0.5f * static_cast<float>(std::max(a.box.left, b.box.left) +
                                              std::min(a.box.right, b.box.right));
    const float base_a = a.baseline_at(x), base_b = b.baseline_at(x);
    const float height =
        std::max(base_a + a.below, base_b + b.below) - std::min(base_a - a.above, base_b - b.above);
    if (height > kLikeExtents * std::max(a.above + a.below, b.above + b.below)) return false;
    return shared_core(a, b, x) >= 0.6f * low;
}

// Joins pieces of lines along their baselines: those that overlap, and those with a gap between
// them that is a word's.
std::vector<TextLine> join_along(const Components& components, std::vector<TextLine> lines,
                                 const Walls& walls, int text_height) {
    const std::vector<Box> boxes = boxes_of(lines);
    const BoxIndex index(boxes, text_height);
    const Gutters gutters(lines);
    Sets groups(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
        const TextLine& line = lines[i];
        const int reach = static_cast<int>(2 * kMostGap * line.core) + 1;
        size_t next = lines.size();
        int nearest = 1 << 30;
        index.each_between(line.box, line.box.left, line.box.right + reach, [&](size_t j) {
            const TextLine& other = lines[j];
            if (j == i || !same_row(line, other) || walls.part(line.box, other.box)) return;
            const int gap = other.box.left - line.box.right;
            if (gap <= 0) groups.unite(i, j);
            if (gap > 0 && gap < nearest) nearest = gap, next = j;
        });
        if (next == lines.size()) continue;
        const float gap = static_cast<float>(nearest) / std::max(line.core, lines[next].core);
        const bool wide = gap > kWideGap;
        const float x = static_cast<float>(line.box.right);
        const float off = std::fabs(line.baseline_at(x) - lines[next].baseline_at(x));
        if (gap > kFreeGap && off > kSameBase * std::max(line.core, lines[next].core)) continue;
        const bool joined = gap <= kFreeGap ||
                            (gap <= kMostGap &&
                             gutters.rows_between(i, next) < (wide ? kRowsOfWide : kRowsOfNarrow));
        if (joined) groups.unite(i, next);
    }
    return merged(components, lines, groups);
}

}  // namespace

std::vector<TextLine> find_lines(const Components& components, const std::vector<Box>& rules) {
    const int text_height = std::max(4, typical_height(components.all));
    const Walls walls(rules, text_height);
    std::vector<Letter> letters, marks;
    for (Letter& found : find_letters(components, text_height)) {
        (is_letter(found, text_height) ? letters : marks).push_back(std::move(found));
    }
    std::vector<TextLine> lines = link_letters(components, letters, walls, text_height);
    for (const Letter& mark : marks) {
        if (mark.box.height() > text_height || mark.box.width() > 3 * text_height) continue;
        lines.emplace_back();
        add(components, mark, lines.back());
        lines.back().light = mark.light;
        measure(components, lines.back());
    }
    attach_marks(components, text_height, lines);
    lines = join_along(components, std::move(lines), walls, text_height);
    join_overlapping(components, text_height, lines);
    return lines;
}

}  // namespace crispvl::layout
