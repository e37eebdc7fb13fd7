#include "layout/upright.h"

#include <cmath>

#include "layout/upright_weights.h"

namespace crispvl::layout {
namespace {

constexpr float kLeastLetters = 12;
constexpr float kSureMean = 0.25f;  // log-odds of a letter, on average
constexpr float kMostOdds = 3;      // that one letter counts
constexpr float kSureRatio = 0.5f;  // of ink over to under the x-height, upside down

using Grid = std::array<float, static_cast<size_t>(kLetterGrid) * kLetterGrid>;

// Share of ink in each cell of the box around a component.
Grid grid_of(const Components& components, const Component& c) {
    Grid grid{};
    const float cells_x = static_cast<float>(kLetterGrid) / static_cast<float>(c.box.width());
    const float cells_y = static_cast<float>(kLetterGrid) / static_cast<float>(c.box.height());
    for (const Run* run = components.begin(c); run != components.end(c); ++run) {
        const float left = static_cast<float>(run->from - c.box.left) * cells_x;
        const float right = static_cast<float>(run->to - c.box.left) * cells_x;
        const float top = static_cast<float>(run->y - c.box.top) * cells_y;
        for (int v = static_cast<int>(top);
             v < kLetterGrid && static_cast<float>(v) < top + cells_y; ++v) {
            const float high =
                overlap(top, top + cells_y, static_cast<float>(v), static_cast<float>(v + 1));
            for (int u = static_cast<int>(left); u < kLetterGrid && static_cast<float>(u) < right;
                 ++u) {
                const float wide =
                    overlap(left, right, static_cast<float>(u), static_cast<float>(u + 1));
                grid[static_cast<size_t>(v * kLetterGrid + u)] += high * wide;
            }
        }
    }
    return grid;
}

float evidence(const Grid& grid) {
    float sum = 0;
    const float* weight = kLetterInner;
    for (int i = 0; i < kLetterHidden; ++i) {
        float inner = kLetterBias[i];
        for (const float share : grid) inner += share * *weight++;
        sum += std::max(0.0f, inner) * kLetterOuter[i];
    }
    return sum;
}

// Log-odds of standing upright.
float odds_of(const Components& components, const Component& c) {
    const Grid grid = grid_of(components, c);
    Grid turned = grid;
    std::reverse(turned.begin(), turned.end());
    return std::clamp(evidence(grid) - evidence(turned), -kMostOdds, kMostOdds);
}

// Components that could be single letters of the line.
std::vector<int> letters_of(const Components& components, const TextLine& line) {
    std::vector<int> letters;
    for (const Piece& piece : line.pieces) {
        const Box& box = components.all[static_cast<size_t>(piece.component)].box;
        const float height = static_cast<float>(box.height());
        const bool whole = height >= 0.7f * line.core && height <= 2.2f * line.core && height >= 7;
        const bool single = 2 * box.width() <= 3 * box.height() && 4 * box.width() >= box.height();
        if (whole && single) letters.push_back(piece.component);
    }
    return letters;
}

}  // namespace

LetterOdds letter_odds(const Components& components, const TextLine& line) {
    LetterOdds odds;
    for (const int i : letters_of(components, line)) {
        odds.sum += odds_of(components, components.all[static_cast<size_t>(i)]);
        ++odds.n;
    }
    return odds;
}

bool is_upside_down(const Components& components, const std::vector<TextLine>& lines) {
    float over = 0, under = 0;
    LetterOdds odds;
    for (const TextLine& line : lines) {
        over += line.over;
        under += line.under;
        const LetterOdds more = letter_odds(components, line);
        odds.sum += more.sum;
        odds.n += more.n;
    }
    if (odds.n >= kLeastLetters) return odds.sum < -kSureMean * odds.n;
    return lines.size() >= 3 && over < kSureRatio * under;
}

}  // namespace crispvl::layout
