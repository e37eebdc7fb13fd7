#include "layout/words.h"

#include <cmath>

namespace crispvl::layout {
namespace {

constexpr size_t kNear = 6;          // lines before and after that may be of the same print
constexpr float kLike = 0.12f;       // by which x-heights of one print differ
constexpr float kNearWeight = 0.4f;  // of what those lines tell
constexpr float kUsualGap = 0.45f;   // in x-heights: between gaps of letters and of words
constexpr float kLetterGap = 0.15f, kWordGap = 0.7f;  // in x-heights, of usual print
constexpr float kMostBeyond = 0.26f;  // that limit, in x-heights beyond the usual gap of letters
constexpr float kSpeck = 0.02f;       // squared x-heights: less ink is no letter
constexpr float kMostGap = 1;         // in x-heights; wider ones count as this
constexpr float kBlur = 0.04f;        // in x-heights, by which gaps of one kind differ
constexpr float kPrior = 4;           // gaps that count as much as what is usual
constexpr float kPitchFrom = 0.85f, kPitchTo = 2.4f, kPitchStep = 0.02f;  // in x-heights
constexpr float kEven = 0.55f;      // least mean cosine of letters of even pitch
constexpr float kDoubt = 1.5f;      // steps
constexpr size_t kEnoughSteps = 5;  // from letter to letter, that tell a pitch
constexpr float kMostStep = 3;      // in x-heights; longer ones are of columns
constexpr float kFreeCell = 1.5f;   // pitches between two letters with a space between
constexpr float kFreeGap = 0.92f;   // pitches of white that are a space
constexpr float kOneCell = 1.25f;   // pitches that one letter is wide at most

struct Gap {
    int from, to;  // px
    int width() const { return to - from; }
};

// Stretches between the line's ink, from left to right.
std::vector<Gap> gaps_of(const Components& components, const TextLine& line) {
    std::vector<int> changes(static_cast<size_t>(line.box.width()) + 1);
    const float least = kSpeck * line.x_height * line.x_height;
    for (const Piece& piece : line.pieces) {
        const Component& c = components.all[static_cast<size_t>(piece.component)];
        if (static_cast<float>(c.area) < least) continue;
        for (const Run* run = components.begin(c); run != components.end(c); ++run) {
            if (run->y < piece.top || run->y >= piece.bottom) continue;
            ++changes[static_cast<size_t>(run->from - line.box.left)];
            --changes[static_cast<size_t>(run->to - line.box.left)];
        }
    }
    std::vector<Gap> gaps;
    int depth = 0, from = -1;
    bool inked = false;
    for (int x = 0; x < line.box.width(); ++x) {
        depth += changes[static_cast<size_t>(x)];
        if (depth == 0 && from < 0 && inked) from = x;
        inked = inked || depth > 0;
        if (depth > 0 && from >= 0) {
            gaps.push_back({line.box.left + from, line.box.left + x});
            from = -1;
        }
    }
    return gaps;
}

// The stretches of ink of a line, in x-heights: a letter each, or some that touch.
struct Spacing {
    std::vector<float> gaps;   // between one and the next
    std::vector<float> steps;  // from the middle of one to that of the next
    std::vector<float> wider;  // the wider of both
};

Spacing spacing_of(const TextLine& line, const std::vector<Gap>& gaps) {
    Spacing spacing;
    for (size_t i = 0; i < gaps.size(); ++i) {
        const int left = i == 0 ? line.box.left : gaps[i - 1].to;
        const int right = i + 1 == gaps.size() ? line.box.right : gaps[i + 1].from;
        const float before = static_cast<float>(gaps[i].from - left),
                    after = static_cast<float>(right - gaps[i].to),
                    gap = static_cast<float>(gaps[i].width());
        spacing.gaps.push_back(gap / line.x_height);
        spacing.steps.push_back((gap + 0.5f * (before + after)) / line.x_height);
        spacing.wider.push_back(std::max(before, after) / line.x_height);
    }
    return spacing;
}

struct Weighted {
    float value, weight;
};

// The pitch in x-heights at which letters follow each other as on a typewriter; 0 where they don't.
float pitch_of(const std::vector<Weighted>& steps) {
    if (steps.size() < kEnoughSteps) return 0;
    std::vector<float> scores;
    float most = 0;
    for (float pitch = kPitchFrom; pitch <= kPitchTo; pitch += kPitchStep) {
        float sum = 0, n = 0;
        for (const Weighted& step : steps) {
            if (step.value > kMostStep) continue;
            sum += step.weight * std::cos(6.2831853f * step.value / pitch);
            n += step.weight;
        }
        scores.push_back(n > 0 ? sum / n : 0);
        most = std::max(most, scores.back());
    }
    // Of few steps some pitch fits by chance.
    if (most < kEven + kDoubt / static_cast<float>(steps.size())) return 0;
    // Half of the pitch fits as well; the largest that does is it.
    size_t i = scores.size() - 1;
    while (scores[i] < most - 0.1f) --i;
    while (i > 0 && scores[i - 1] > scores[i]) --i;
    return kPitchFrom + kPitchStep * static_cast<float>(i);
}

// The middle between the usual gap of letters and that of words.
float middle_of(const std::vector<Weighted>& gaps) {
    float middle = kUsualGap;
    for (int round = 0; round < 8; ++round) {
        float letters = kPrior * kLetterGap, n_letters = kPrior;
        float words = kPrior * kWordGap, n_words = kPrior;
        for (const Weighted& gap : gaps) {
            const bool parts = gap.value > middle;
            (parts ? words : letters) += gap.weight * std::min(gap.value, kMostGap);
            (parts ? n_words : n_letters) += gap.weight;
        }
        const float usual = letters / n_letters;
        middle = std::min(0.5f * (usual + words / n_words), usual + kMostBeyond);
    }
    return middle;
}

// The gap near that middle, in x-heights, with the fewest others near it.
float limit_of(const std::vector<Weighted>& gaps) {
    const float middle = middle_of(gaps);
    float best = middle, least = 1e9f;
    for (int i = 0; i <= 10; ++i) {
        // The middle, then away from it on both sides.
        const float off = 0.01f * static_cast<float>(i % 2 ? (i + 1) / 2 : -i / 2);
        float sum = 0;
        for (const Weighted& gap : gaps) {
            const float z = (gap.value - middle - off) / kBlur;
            if (std::fabs(z) < 3) sum += gap.weight * std::exp(-0.5f * z * z);
        }
        if (sum < 0.95f * least) least = sum, best = middle + off;
    }
    return best;
}

// Which gaps of a line part words.
std::vector<bool> parting(const Spacing& spacing, float pitch, float limit) {
    std::vector<bool> parts;
    for (size_t i = 0; i < spacing.gaps.size(); ++i) {
        const bool single = spacing.wider[i] < kOneCell * pitch;
        const bool free_cell =
            single ? spacing.steps[i] > kFreeCell * pitch : spacing.gaps[i] > kFreeGap * pitch;
        parts.push_back(pitch > 0 ? free_cell : spacing.gaps[i] > limit);
    }
    return parts;
}

void split(const Components& components, const std::vector<Gap>& gaps,
           const std::vector<bool>& parts, TextLine& line) {
    line.words.clear();
    const auto add = [&](int left, int right) {
        line.words.push_back({static_cast<float>(left), static_cast<float>(right), 1e9f, -1e9f});
    };
    int left = line.box.left;
    for (size_t i = 0; i < gaps.size(); ++i) {
        if (!parts[i]) continue;
        add(left, gaps[i].from);
        left = gaps[i].to;
    }
    add(left, line.box.right);
    each_run(components, line, [&](const Run& run) {
        const auto after =
            std::upper_bound(line.words.begin(), line.words.end(), static_cast<float>(run.from),
                             [](float x, const Word& word) { return x < word.left; });
        Word& word = *(after - 1);
        word.top = std::min(word.top, static_cast<float>(run.y));
        word.bottom = std::max(word.bottom, static_cast<float>(run.y + 1));
        word.area += static_cast<float>(run.to - run.from);
    });
}

}  // namespace

void find_words(const Components& components, std::vector<TextLine>& lines) {
    std::vector<std::vector<Gap>> gaps;
    std::vector<Spacing> spacings;
    for (const TextLine& line : lines) {
        gaps.push_back(gaps_of(components, line));
        spacings.push_back(spacing_of(line, gaps.back()));
    }
    for (size_t i = 0; i < lines.size(); ++i) {
        std::vector<Weighted> steps, widths;
        for (size_t j = i - std::min(i, kNear); j < std::min(lines.size(), i + kNear + 1); ++j) {
            const float high = std::max(lines[i].x_height, lines[j].x_height);
            if (std::fabs(lines[i].x_height - lines[j].x_height) > kLike * high) continue;
            const float weight = j == i ? 1 : kNearWeight;
            for (const float step : spacings[j].steps) steps.push_back({step, weight});
            for (const float gap : spacings[j].gaps) widths.push_back({gap, weight});
        }
        split(components, gaps[i], parting(spacings[i], pitch_of(steps), limit_of(widths)),
              lines[i]);
    }
}

}  // namespace crispvl::layout
