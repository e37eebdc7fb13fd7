#include "layout/evidence.h"

#include <cmath>

#include "layout/upright.h"

namespace crispvl::layout {
namespace {

constexpr float k_least_core = 5;  // px
constexpr size_t k_near = 6;       // lines before and after, from top to bottom, that count
constexpr float k_near_share = 0.8f;
constexpr float k_most_counted = 8;  // letters of a line nearby
constexpr float k_sure_weight = 1.5f, k_least_sure = 0.25f, k_picture_prior = -3;

// Ink of one polarity, summed over
// squares of 4 × 4 px and over all squares above and left.
class InkSums {
public:
    InkSums(const Components& components, bool light) {
        for (const Component& c : components.all) {
            columns_ = std::max(columns_, c.box.right / k_px + 2);
            rows_ = std::max(rows_, c.box.bottom / k_px + 2);
        }
        sums_.resize(static_cast<size_t>(columns_) * static_cast<size_t>(rows_));
        for (const Component& c : components.all) {
            if (c.light != light) continue;
            for (const Run* run = components.begin(c); run != components.end(c); ++run) add(*run);
        }
        for (int y = 1; y < rows_; ++y) {
            for (int x = 1; x < columns_; ++x)
                at(x, y) += at(x - 1, y) + at(x, y - 1) - at(x - 1, y - 1);
        }
    }
    float within(const Box& box) const {
        const int left = box.left / k_px, top = box.top / k_px;
        const int right = (box.right - 1) / k_px + 1, bottom = (box.bottom - 1) / k_px + 1;
        return static_cast<float>(at(right, bottom) - at(left, bottom) - at(right, top) +
                                  at(left, top));
    }

private:
    static constexpr int k_px = 4;

    // The square of a px is at one more in both directions, so that there is a border of none.
    int& at(int x, int y) {
        return sums_[static_cast<size_t>(y) * static_cast<size_t>(columns_) +
                     static_cast<size_t>(x)];
    }
    int at(int x, int y) const {
        return sums_[static_cast<size_t>(y) * static_cast<size_t>(columns_) +
                     static_cast<size_t>(x)];
    }
    void add(const Run& run) {
        for (int x = run.from; x < run.to; ++x) ++at(x / k_px + 1, run.y / k_px + 1);
    }

    int columns_ = 2, rows_ = 2;
    std::vector<int> sums_;
};

struct Posture {
    int n_letters = 0;
    float on_base = 0;  // share of letters that end at the baseline
};

Posture posture_of(const Components& components, const TextLine& line) {
    Posture posture;
    int n_on_base = 0;
    for (const Piece& piece : line.pieces) {
        const Box& box = components.all[static_cast<size_t>(piece.component)].box;
        if (static_cast<float>(box.height()) < 0.6f * line.core) continue;
        const float off = static_cast<float>(box.bottom) - line.baseline_at(box.x_center());
        ++posture.n_letters;
        n_on_base += std::fabs(off) <= 0.15f * line.core + 1;
    }
    posture.on_base =
        static_cast<float>(n_on_base) / static_cast<float>(std::max(1, posture.n_letters));
    return posture;
}

bool is_plausible(const TextLine& line, const Posture& posture, int text_height) {
    const float usual = static_cast<float>(text_height);
    if (line.core < k_least_core || posture.n_letters == 0 || line.stroke >= 0.9f * line.core)
        return false;
    // Few letters, far smaller or larger than the others, or no more than a stroke or a blot.
    const bool odd = line.core < 0.45f * usual || line.core > 3.5f * usual ||
                     line.density > 0.92f || line.density < 0.08f;
    return posture.n_letters >= 3 || !odd;
}

// Log-likelihood ratios of text to anything else, from lines on scanned documents and on
// photographs, halftones and drawings.
float weigh(const Components& components, const InkSums& ink, const TextLine& line,
            const Posture& posture, const LetterOdds& odds) {
    float own = 0;
    each_run(components, line,
             [&](const Run& run) { own += static_cast<float>(run.to - run.from); });
    own /= std::max(1.0f, ink.within(line.box));
    float sum = own >= 0.95f ? 1.7f : own >= 0.8f ? 0.0f : own >= 0.6f ? -1.0f : -2.2f;
    if (posture.n_letters >= 5) {
        const float on = posture.on_base;
        sum += on >= 0.8f ? 0.6f : on >= 0.6f ? 0.0f : on >= 0.4f ? -1.2f : -2.5f;
    }
    sum += std::clamp(0.3f * (odds.sum - 0.4f * odds.n), -3.0f, 6.0f);
    if (posture.n_letters < 3) sum -= 1;
    return sum;
}

}  // namespace

void keep_text(const Components& components, int text_height, std::vector<TextLine>& lines) {
    const InkSums dark(components, false), light(components, true);
    std::stable_sort(lines.begin(), lines.end(),
                     [](const TextLine& a, const TextLine& b) { return a.base < b.base; });
    std::vector<TextLine> plausible;
    std::vector<float> weight, n_letters;
    float sure = 0, total = 0;  // letters
    for (TextLine& line : lines) {
        const Posture posture = posture_of(components, line);
        if (!is_plausible(line, posture, text_height)) continue;
        const LetterOdds odds = letter_odds(components, line);
        weight.push_back(weigh(components, line.light ? light : dark, line, posture, odds));
        const float n = static_cast<float>(posture.n_letters);
        total += n;
        if (n >= 3 && weight.back() >= k_sure_weight) sure += n;
        n_letters.push_back(std::min(k_most_counted, n));
        plausible.push_back(std::move(line));
    }
    lines.clear();
    // Where most of a page is doubtful all of it is a picture.
    const float prior = sure < k_least_sure * total ? k_picture_prior : 0.0f;
    for (size_t i = 0; i < plausible.size(); ++i) {
        float near = 0, n = 0;
        for (size_t j = i - std::min(i, k_near); j < std::min(plausible.size(), i + k_near + 1);
             ++j) {
            if (j == i) continue;
            near += n_letters[j] * std::clamp(weight[j], -3.0f, 3.0f);
            n += n_letters[j];
        }
        const float all = prior + weight[i] + (n > 0 ? k_near_share * near / n : 0.0f);
        if (all > 0) lines.push_back(std::move(plausible[i]));
    }
}

}  // namespace crispvl::layout
