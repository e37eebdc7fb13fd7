#include "layout/sizes.h"

#include <cmath>

namespace crispvl::layout {
namespace {

constexpr size_t kEnoughLetters = 6;  // that tell a line's size
constexpr float kTallShare = 0.8f;    // of letters, that are no higher than the tall ones
constexpr float kSameHeight = 0.12f;  // by which the tall letters of one print differ
constexpr float kMostTaller = 1.15f;  // in a row: pieces higher than that are of another print
constexpr float kLeastTall = 0.45f;   // in a row: of the tall letters beside
constexpr float kTolerance = 0.15f;   // of x-heights, that needs no correction
constexpr float kSameBase = 0.35f;    // in x-heights: baselines of one row
constexpr float kOwnBase = 0.15f;     // in x-heights: by how much a short line's may be off
constexpr float kRowReachPx = 90;     // by which baselines of a row differ at their left ends
constexpr float kNear = 12;           // in heights of tall letters
constexpr float kLowest = 0.55f, kHighest = 0.8f;  // x-heights of print, in tall letters

// What a line's letters tell of its size.
struct Size {
    size_t n_letters = 0;
    float tall = 0;  // px over the baseline: capitals, digits, ascenders
};

Size size_of(const Components& components, const TextLine& line) {
    std::vector<float> heights;
    for (const Piece& piece : line.pieces) {
        const Box& box = components.all[static_cast<size_t>(piece.component)].box;
        const float over = line.baseline_at(box.x_center()) - static_cast<float>(piece.top);
        if (2 * over > line.core) heights.push_back(over);
    }
    if (heights.empty()) return {0, line.above};
    const size_t i = std::min(heights.size() - 1,
                              static_cast<size_t>(kTallShare * static_cast<float>(heights.size())));
    std::nth_element(heights.begin(), heights.begin() + static_cast<std::ptrdiff_t>(i),
                     heights.end());
    return {heights.size(), heights[i]};
}

class Sizes {
public:
    Sizes(const Components& components, std::vector<TextLine>& lines) : lines_(lines) {
        for (const TextLine& line : lines) sizes_.push_back(size_of(components, line));
    }

    // Calls visit(j) for lines that tell their size with baselines within `reach` px of that of
    // another.
    template <typename Visit>
    void each_near(size_t i, float reach, Visit&& visit) const {
        const auto look = [&](size_t j) {
            const float off = lines_[j].base - lines_[i].base;
            if (std::fabs(off) > reach) return false;
            if (j != i && sizes_[j].n_letters >= kEnoughLetters &&
                lines_[j].light == lines_[i].light)
                visit(j);
            return true;
        };
        for (size_t j = i; j-- > 0 && look(j);) continue;
        for (size_t j = i + 1; j < lines_.size() && look(j); ++j) continue;
    }

    // The nearest line of the same row whose letters are no smaller; itself where there is none.
    size_t row_mate(size_t i) const {
        const TextLine& line = lines_[i];
        size_t best = i;
        int nearest = 1 << 30;
        each_near(i, kRowReachPx, [&](size_t j) {
            const TextLine& other = lines_[j];
            const float x = line.box.x_center();
            const float off = line.baseline_at(x) - other.baseline_at(x);
            const int gap = -x_overlap(line.box, other.box);
            if (std::fabs(off) > kSameBase * other.x_height ||
                sizes_[i].tall > kMostTaller * sizes_[j].tall ||
                sizes_[i].tall < kLeastTall * sizes_[j].tall || gap >= nearest)
                return;
            nearest = gap;
            best = j;
        });
        return best;
    }

    // The usual ratio of x-height to tall letters of lines near that are as high; 0 without any.
    float usual_ratio(size_t i) const {
        std::vector<std::pair<float, float>> ratios;  // and how many letters tell it
        float sum = 0;
        each_near(i, kNear * sizes_[i].tall, [&](size_t j) {
            const float high = std::max(sizes_[i].tall, sizes_[j].tall);
            const float ratio = lines_[j].x_height / std::max(1.0f, sizes_[j].tall);
            if (std::fabs(sizes_[i].tall - sizes_[j].tall) > kSameHeight * high ||
                ratio < kLowest || ratio > kHighest)
                return;
            ratios.emplace_back(ratio, static_cast<float>(sizes_[j].n_letters));
            sum += ratios.back().second;
        });
        std::sort(ratios.begin(), ratios.end());
        float seen = 0;
        for (const auto& [ratio, n] : ratios) {
            seen += n;
            if (2 * seen >= sum) return ratio;
        }
        return 0;
    }

    const Size& operator[](size_t i) const { return sizes_[i]; }

private:
    const std::vector<TextLine>& lines_;
    std::vector<Size> sizes_;
};

// Gives a line another baseline: of what it has over the old one less is over the new one.
void move_base(float down, TextLine& line) {
    line.base += down;
    line.above += down;
    line.below = std::max(0.0f, line.below - down);
    line.core = std::max(1.0f, line.core + down);
}

}  // namespace

void settle_sizes(const Components& components, std::vector<TextLine>& lines) {
    const Sizes sizes(components, lines);
    std::vector<TextLine> settled = lines;
    for (size_t i = 0; i < lines.size(); ++i) {
        TextLine& line = settled[i];
        if (sizes[i].n_letters < kEnoughLetters) {
            const TextLine& mate = lines[sizes.row_mate(i)];
            if (&mate != &lines[i]) {
                const float down =
                    mate.baseline_at(line.box.x_center()) - line.baseline_at(line.box.x_center());
                line.x_height = mate.x_height;
                if (std::fabs(down) > kOwnBase * mate.x_height) move_base(down, line);
                continue;
            }
        }
        const float expected = sizes.usual_ratio(i) * sizes[i].tall;
        if (expected > 0 && std::fabs(line.x_height / expected - 1) > kTolerance)
            line.x_height = expected;
    }
    lines = std::move(settled);
}

}  // namespace crispvl::layout
