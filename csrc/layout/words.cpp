#include "layout/words.h"

#include <cmath>

namespace crispvl::layout {
namespace {

constexpr float k_usual_gap = 0.45f;           // in x-heights: between gaps of letters and of words
constexpr float k_low = 0.22f, k_high = 1.1f;  // in x-heights: where the limit can be
constexpr float k_clear = 1.35f;               // of the next narrower: a gap of the other kind
constexpr size_t k_enough_gaps = 8;

struct Gap {
    int from, to;  // px
    int width() const { return to - from; }
};

// Stretches between the line's ink, from left to right.
std::vector<Gap> gaps_of(const Components& components, const TextLine& line) {
    std::vector<int> changes(static_cast<size_t>(line.box.width()) + 1);
    each_run(components, line, [&](const Run& run) {
        ++changes[static_cast<size_t>(run.from - line.box.left)];
        --changes[static_cast<size_t>(run.to - line.box.left)];
    });
    std::vector<Gap> gaps;
    int depth = 0, from = -1;
    for (int x = 0; x < line.box.width(); ++x) {
        depth += changes[static_cast<size_t>(x)];
        if (depth == 0 && from < 0) from = x;
        if (depth > 0 && from >= 0) {
            gaps.push_back({line.box.left + from, line.box.left + x});
            from = -1;
        }
    }
    return gaps;
}

// The gap, in x-heights, from which on words part; `otherwise` where the widths are of one kind.
float limit_between(std::vector<float> widths, float otherwise) {
    std::sort(widths.begin(), widths.end());
    float best = otherwise, most = k_clear;
    for (size_t i = 1; i < widths.size(); ++i) {
        const float low = std::max(widths[i - 1], 0.12f), high = widths[i];
        const float middle = 0.5f * (low + high);
        if (middle < k_low || middle > k_high || high < low * most) continue;
        most = high / low;
        best = middle;
    }
    return best;
}

void split(const Components& components, const std::vector<Gap>& gaps, float limit_px,
           TextLine& line) {
    line.words.clear();
    const auto add = [&](int left, int right) {
        line.words.push_back({static_cast<float>(left), static_cast<float>(right), 1e9f, -1e9f});
    };
    int left = line.box.left;
    for (const Gap& gap : gaps) {
        if (static_cast<float>(gap.width()) < limit_px) continue;
        add(left, gap.from);
        left = gap.to;
    }
    add(left, line.box.right);
    each_run(components, line, [&](const Run& run) {
        const auto after =
            std::upper_bound(line.words.begin(), line.words.end(), static_cast<float>(run.from),
                             [](float x, const Word& word) { return x < word.left; });
        Word& word = *(after - 1);
        word.top = std::min(word.top, static_cast<float>(run.y));
        word.bottom = std::max(word.bottom, static_cast<float>(run.y + 1));
    });
}

}  // namespace

void find_words(const Components& components, std::vector<TextLine>& lines) {
    std::vector<std::vector<Gap>> gaps;
    std::vector<float> all;
    for (const TextLine& line : lines) {
        gaps.push_back(gaps_of(components, line));
        for (const Gap& gap : gaps.back())
            all.push_back(static_cast<float>(gap.width()) / line.x_height);
    }
    const float usual = limit_between(all, k_usual_gap);
    for (size_t i = 0; i < lines.size(); ++i) {
        std::vector<float> widths;
        for (const Gap& gap : gaps[i])
            widths.push_back(static_cast<float>(gap.width()) / lines[i].x_height);
        const float limit =
            widths.size() < k_enough_gaps ? k_usual_gap : limit_between(widths, k_usual_gap);
        split(components, gaps[i], limit * lines[i].x_height, lines[i]);
    }
    (void)usual;
}

}  // namespace crispvl::layout
