#include "layout/dashes.h"

#include <cstdlib>

#include "layout/neighbours.h"
#include "layout/sets.h"

namespace crispvl::layout {
namespace {

// What makes pieces in a row a rule; lengths in heights of letters.
struct Kind {
    bool upright;
    float most_breadth, most_piece;  // of a piece
    float most_gap;                  // between two
    int least_length;                // of all
    size_t least_pieces;
};

constexpr float kAny = 1e6f;
constexpr Kind kLevel{false, 0.3f, kAny, 1.2f, 6, 3};
// Letters of one stroke stand above each other, too, at the beginnings of lines: pieces are shorter
// than these, and nearer than the lines.
constexpr Kind kUpright{true, 0.3f, 0.5f, 0.35f, 3, 6};
constexpr float kLeastBreadth = 3;  // px up to which a piece is thin in any print

// As if the rule were level.
Box levelled(const Box& b, bool upright) {
    return upright ? Box{b.top, b.left, b.bottom, b.right} : b;
}

// Joins each piece with the next ones at its right at the same height.
void join_rows(const std::vector<Box>& pieces, int text_height, float most_gap, Sets& rows) {
    const BoxIndex index(pieces, text_height);
    const int reach = static_cast<int>(most_gap * static_cast<float>(text_height)) + 1;
    for (size_t i = 0; i < pieces.size(); ++i) {
        const Box& piece = pieces[i];
        const Box around{piece.left, piece.top - 1, piece.right, piece.bottom + 1};
        index.each_between(around, piece.left, piece.right + reach, [&](size_t j) {
            const Box& other = pieces[j];
            const int off = std::abs(piece.top + piece.bottom - other.top - other.bottom) / 2;
            if (j != i && off <= std::max(2, text_height / 8)) rows.unite(i, j);
        });
    }
}

// Marks the components of the rules by an area of 0.
void find_dashes(const Kind& kind, Components& components, int text_height,
                 std::vector<Box>& found) {
    std::vector<Box> pieces;
    std::vector<size_t> members;
    const float usual = static_cast<float>(text_height);
    for (size_t i = 0; i < components.all.size(); ++i) {
        const Box box = levelled(components.all[i].box, kind.upright);
        const auto breadth = static_cast<float>(box.height());
        const auto length = static_cast<float>(box.width());
        if (components.all[i].area == 0 || length > kind.most_piece * usual ||
            breadth > std::max(kLeastBreadth, kind.most_breadth * usual)) {
            continue;
        }
        pieces.push_back(box);
        members.push_back(i);
    }
    Sets rows(pieces.size());
    join_rows(pieces, text_height, kind.most_gap, rows);
    for (const std::vector<size_t>& row : rows.groups()) {
        Box box = pieces[row.front()];
        int inked = 0;
        for (const size_t i : row) {
            box.include(pieces[i]);
            inked += pieces[i].width();
        }
        const bool is_rule = row.size() >= kind.least_pieces &&
                             box.width() >= kind.least_length * text_height &&
                             4 * inked >= box.width();
        if (!is_rule) continue;
        found.push_back(levelled(box, kind.upright));
        for (const size_t i : row) components.all[members[i]].area = 0;
    }
}

}  // namespace

std::vector<Box> take_dashes(Components& components, int text_height) {
    std::vector<Box> found;
    for (const Kind& kind : {kLevel, kUpright}) {
        find_dashes(kind, components, text_height, found);
    }
    const auto taken = [](const Component& c) { return c.area == 0; };
    components.all.erase(std::remove_if(components.all.begin(), components.all.end(), taken),
                         components.all.end());
    return found;
}

}  // namespace crispvl::layout
