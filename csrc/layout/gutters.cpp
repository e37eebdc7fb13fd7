#include "layout/gutters.h"

#include <cmath>

namespace crispvl::layout {
namespace {

constexpr float kReach = 18;       // cores above and below that are looked at
constexpr float kLeastGap = 0.8f;  // in cores

}  // namespace

Gutters::Gutters(const std::vector<TextLine>& lines) : lines_(lines), by_top_(lines.size()) {
    for (size_t i = 0; i < lines.size(); ++i) by_top_[i] = static_cast<int>(i);
    std::stable_sort(by_top_.begin(), by_top_.end(), [&](int i, int j) {
        return lines_[static_cast<size_t>(i)].box.top < lines_[static_cast<size_t>(j)].box.top;
    });
}

int Gutters::rows_of_gap(size_t left, size_t right, bool upwards) const {
    const TextLine& a = lines_[left];
    const TextLine& b = lines_[right];
    const float core = std::max(a.core, b.core);
    const int reach = static_cast<int>(kReach * core);
    const int top = std::min(a.box.top, b.box.top), bottom = std::max(a.box.bottom, b.box.bottom);
    const int from = upwards ? top - reach : (top + bottom) / 2,
              to = upwards ? (top + bottom) / 2 : bottom + reach;
    std::vector<int> near;
    const auto first = std::lower_bound(by_top_.begin(), by_top_.end(), from, [&](int i, int y) {
        return lines_[static_cast<size_t>(i)].box.top < y;
    });
    for (auto it = first; it != by_top_.end() && lines_[static_cast<size_t>(*it)].box.top < to;
         ++it) {
        const TextLine& line = lines_[static_cast<size_t>(*it)];
        const bool beyond =
            upwards ? line.box.bottom <= (top + bottom) / 2 : line.box.top >= (top + bottom) / 2;
        if (beyond && line.core > 0.5f * core) near.push_back(*it);
    }
    if (upwards) std::reverse(near.begin(), near.end());
    int gap_left = a.box.right, gap_right = b.box.left, n_rows = 0;
    float row_left = -1e9f, row_right = 1e9f;  // baselines of the last rows with text at each side
    const int margin = static_cast<int>(4 * core), least = static_cast<int>(kLeastGap * core);
    for (const int i : near) {
        const Box& box = lines_[static_cast<size_t>(i)].box;
        if (box.right <= gap_left - margin || box.left >= gap_right + margin) continue;
        const float base = lines_[static_cast<size_t>(i)].base;
        if (2 * box.right <= gap_left + gap_right) {
            gap_left = std::max(gap_left, box.right);
            row_left = base;
        } else if (2 * box.left >= gap_left + gap_right) {
            gap_right = std::min(gap_right, box.left);
            row_right = base;
        } else {
            break;
        }
        if (gap_right - gap_left < least) break;
        if (std::fabs(row_left - row_right) < 0.5f * core) {
            ++n_rows;
            row_left = -1e9f;
            row_right = 1e9f;
        }
    }
    return n_rows;
}

int Gutters::rows_between(size_t left, size_t right) const {
    return rows_of_gap(left, right, true) + rows_of_gap(left, right, false);
}

}  // namespace crispvl::layout
