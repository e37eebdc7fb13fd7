#include "layout/fragments.h"

#include <cmath>

#include "layout/neighbours.h"

namespace crispvl::layout {
namespace {

constexpr float kFreeGap = 0.7f;       // in cores: to any mark
constexpr float kFarGap = 3;           // in cores: to a colon or dash
constexpr float kMarkHeight = 0.8f;    // in cores: higher ones are letters
constexpr float kColonHeight = 1.1f;   // in cores
constexpr float kMarkWidth = 2.5f;     // in cores
constexpr size_t kMostMarkPieces = 2;  // as of a colon or quotes
constexpr int kReachLetters = 4;       // heights of letters that a splinter is wide at most

// Whether a box as small as a mark is where the letters of a line are, and how far from them in px;
// negative where it is not.
float distance_of_mark(const TextLine& mark, const TextLine& line) {
    const Box& box = mark.box;
    const float width = static_cast<float>(box.width()), height = static_cast<float>(box.height());
    const bool colon =
        mark.pieces.size() == 2 && height > 0.6f * line.x_height && 2 * width < height;
    if (height > (colon ? kColonHeight : kMarkHeight) * line.core || width > kMarkWidth * line.core)
        return -1;
    const float base = line.baseline_at(box.x_center());
    const float over = base - line.core - static_cast<float>(box.bottom);
    const float under = static_cast<float>(box.top) - base;
    if (over > 0.6f * line.x_height + 1 || under > 0.35f * line.x_height + 1) return -1;
    const float aside = static_cast<float>(std::max(0, -x_overlap(box, line.box)));
    // Farther off there are colons and dashes, but no dots.
    const bool dash =
        width > 1.5f * height && over < -0.2f * line.core && under < -0.2f * line.core;
    if (aside > (dash || colon ? kFarGap : kFreeGap) * line.core) return -1;
    return std::max({0.0f, over, under}) + 0.5f * aside;
}

// Whether most pieces of a fragment have a piece of the line over or under them: the other half of
// broken letters.
bool shares_columns(const Components& components, const TextLine& fragment, const TextLine& line) {
    const auto box_of = [&](const Piece& piece) {
        return components.all[static_cast<size_t>(piece.component)].box;
    };
    size_t n = 0;
    for (const Piece& piece : fragment.pieces) {
        const Box box = box_of(piece);
        n += std::any_of(line.pieces.begin(), line.pieces.end(), [&](const Piece& other) {
            return 2 * x_overlap(box, box_of(other)) > box.width();
        });
    }
    return 2 * n > fragment.pieces.size();
}

}  // namespace

void attach_marks(const Components& components, int text_height, std::vector<TextLine>& lines) {
    const std::vector<Box> boxes = boxes_of(lines);
    const BoxIndex index(boxes, text_height);
    std::vector<size_t> owner(lines.size());
    std::iota(owner.begin(), owner.end(), size_t{0});
    std::vector<float> nearest(lines.size(), 1e9f);
    for (size_t i = 0; i < lines.size(); ++i) {
        const TextLine& line = lines[i];
        const int reach = static_cast<int>(kFarGap * line.core),
                  widest = static_cast<int>(kMarkWidth * line.core) + 1;
        const Box around{line.box.left - reach, line.box.top - reach, line.box.right + reach,
                         line.box.bottom + reach};
        index.each_between(around, around.left - widest, around.right, [&](size_t j) {
            const bool may =
                j != i && lines[j].light == line.light && lines[j].pieces.size() <= kMostMarkPieces;
            const float distance = may ? distance_of_mark(lines[j], line) : -1;
            if (distance < 0 || distance >= nearest[j]) return;
            nearest[j] = distance;
            owner[j] = i;
        });
    }
    Sets groups(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) groups.unite(i, owner[i]);
    lines = merged(components, lines, groups);
}

void join_overlapping(const Components& components, int text_height, std::vector<TextLine>& lines) {
    const std::vector<Box> boxes = boxes_of(lines);
    const BoxIndex index(boxes, text_height);
    std::vector<size_t> owner(lines.size());
    std::vector<int> most(lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
        const Box& box = boxes[i];
        index.each_between(box, box.left - kReachLetters * text_height, box.right, [&](size_t j) {
            const Box& other = boxes[j];
            const bool smaller = lines[j].pieces.size() < lines[i].pieces.size() ||
                                 (lines[j].pieces.size() == lines[i].pieces.size() && j > i);
            if (!smaller || lines[i].light != lines[j].light) return;
            const float base = lines[i].baseline_at(other.x_center());
            const int top = static_cast<int>(base - lines[i].above),
                      bottom = static_cast<int>(base + lines[i].below) + 1;
            const int wide = x_overlap(box, other),
                      high = overlap(top, bottom, other.top, other.bottom);
            if (wide <= 0 || high <= 0 || 10 * other.height() > 13 * box.height()) return;
            const bool alike =
                3 * other.height() > 2 * box.height() &&
                3 * std::fabs(box.y_center() - other.y_center()) < static_cast<float>(box.height());
            const bool splinter =
                lines[j].pieces.size() <= kMostMarkPieces && box.height() < 3 * text_height;
            const int shared = wide * high;
            if (10 * shared <= 6 * other.width() * other.height() || shared <= most[j]) return;
            const bool broken = 4 * lines[j].pieces.size() <= lines[i].pieces.size() + 4 &&
                                shares_columns(components, lines[j], lines[i]);
            if (!(alike || splinter || broken)) return;
            most[j] = shared;
            owner[j] = i + 1;
        });
    }
    Sets groups(lines.size());
    for (size_t j = 0; j < lines.size(); ++j) {
        if (owner[j] > 0) groups.unite(j, owner[j] - 1);
    }
    lines = merged(components, lines, groups);
}

}  // namespace crispvl::layout
