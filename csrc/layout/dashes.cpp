#include "layout/dashes.h"

#include <cstdlib>

#include "layout/neighbours.h"
#include "layout/sets.h"

namespace crispvl::layout {
namespace {

constexpr float kMostHeight = 0.3f;  // of a letter: a dash is no higher
constexpr float kMostGap = 1.2f;     // letters between two dashes
constexpr int kLeastLength = 6;      // letters
constexpr size_t kLeastPieces = 3;

// Joins each dash with the next ones at its right at the same height.
void join_rows(const std::vector<Box>& dashes, int text_height, Sets& rows) {
    const BoxIndex index(dashes, text_height);
    const int reach = static_cast<int>(kMostGap * static_cast<float>(text_height)) + 1;
    for (size_t i = 0; i < dashes.size(); ++i) {
        const Box& dash = dashes[i];
        const Box around{dash.left, dash.top - 1, dash.right, dash.bottom + 1};
        index.each_between(around, dash.left, dash.right + reach, [&](size_t j) {
            const Box& other = dashes[j];
            const int off = std::abs(dash.top + dash.bottom - other.top - other.bottom) / 2;
            if (j != i && off <= std::max(2, text_height / 8)) rows.unite(i, j);
        });
    }
}

}  // namespace

std::vector<Box> take_dashes(Components& components, int text_height) {
    std::vector<Box> dashes, found;
    std::vector<size_t> members;
    const float usual = static_cast<float>(text_height);
    for (size_t i = 0; i < components.all.size(); ++i) {
        const Box& box = components.all[i].box;
        if (static_cast<float>(box.height()) > std::max(3.0f, kMostHeight * usual)) continue;
        dashes.push_back(box);
        members.push_back(i);
    }
    Sets rows(dashes.size());
    join_rows(dashes, text_height, rows);
    for (const std::vector<size_t>& row : rows.groups()) {
        Box box = dashes[row.front()];
        int inked = 0;
        for (const size_t i : row) {
            box.include(dashes[i]);
            inked += dashes[i].width();
        }
        const bool is_rule = row.size() >= kLeastPieces &&
                             box.width() >= kLeastLength * text_height && 4 * inked >= box.width();
        if (!is_rule) continue;
        found.push_back(box);
        for (const size_t i : row) components.all[members[i]].area = 0;
    }
    const auto taken = [](const Component& c) { return c.area == 0; };
    components.all.erase(std::remove_if(components.all.begin(), components.all.end(), taken),
                         components.all.end());
    return found;
}

}  // namespace crispvl::layout
