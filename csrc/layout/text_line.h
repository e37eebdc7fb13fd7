// One line of text in the upright working image: its pieces of ink, and where its letters sit.
#pragma once

#include <algorithm>

#include "layout/components.h"
#include "layout/sets.h"

namespace crispvl::layout {

// A component, or the rows of it that belong to a line: [top, bottom).
struct Piece {
    int component;
    int top, bottom;  // px
};

// Start and end of a word, and its ink's top and bottom, in px of the upright image.
struct Word {
    float left, right, top, bottom;
    float area = 0;  // of its ink, px

    float density() const { return area / std::max(1.0f, (right - left) * (bottom - top)); }
};

constexpr float kEndless = 1e9f;

struct TextLine {
    std::vector<Piece> pieces;
    Box box;                     // of all ink
    bool light = false;          // letters lighter than their paper
    bool colon = false;          // nothing but a colon
    float slope = 0;             // px down per px to the right
    float base = 0;              // y of the baseline at the left of the box
    float core = 0;              // height of the letters' densest zone: x-height or cap height, px
    float x_height = 0;          // px; 1/1.38 of the cap height where there are only capitals
    float above = 0, below = 0;  // ink over and under the baseline, px
    float over = 0, under = 0;   // ink over and under the core, px
    float density = 0;           // share of ink in the core
    float stroke = 0;            // mean length of its runs of ink, px
    std::vector<Word> words;
    // For each px of the box: how far over and under the baseline other lines have no ink.
    std::vector<float> room_over, room_under;
    int block = -1, row = -1, column = -1;

    float baseline_at(float x) const { return base + slope * (x - static_cast<float>(box.left)); }
    float core_middle_at(float x) const { return baseline_at(x) - 0.5f * core; }
};

// Sets everything from the pieces except the words and the block.
void measure(const Components& components, TextLine& line);

// The lines of each group as one.
std::vector<TextLine> merged(const Components& components, std::vector<TextLine>& lines,
                             Sets& groups);

std::vector<Box> boxes_of(const std::vector<TextLine>& lines);

// Calls visit(run) for each run of ink of a line.
template <typename Visit>
void each_run(const Components& components, const TextLine& line, Visit&& visit) {
    for (const Piece& piece : line.pieces) {
        const Component& component = components.all[static_cast<size_t>(piece.component)];
        for (const Run* run = components.begin(component); run != components.end(component);
             ++run) {
            if (run->y >= piece.top && run->y < piece.bottom) visit(*run);
        }
    }
}

}  // namespace crispvl::layout
