#include "lines/word_places.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

namespace crispvl::lines {
namespace {

constexpr std::u32string_view kNarrow = U"iljtfrI1.,:;'`!|()[]{}/\\-\"";
constexpr std::u32string_view kWide = U"mwMWQGOD@%&\u2014";
constexpr double kGap = 0.1;       // of a word's width, between two words whose ink runs together
constexpr size_t kMostJoined = 4;  // words of one side to one of the other, but for the last

double sum_of(const double* first, size_t n) {
    return std::accumulate(first, first + n, 0.0);
}

// Text words to runs of ink words, or an ink word to a run of text words, at least cost: how far
// the widths differ.
class Alignment {
public:
    Alignment(std::vector<double> widths, const std::vector<Span>& ink)
        : widths_(std::move(widths)), ink_(ink), steps_((widths_.size() + 1) * (ink_.size() + 1)) {
        for (size_t i = widths_.size() + 1; i-- > 0;) {
            for (size_t j = ink_.size() + 1; j-- > 0;) step(i, j) = solve(i, j);
        }
    }

    std::vector<Place> places() {
        std::vector<Place> found;
        for (size_t i = 0, j = 0; i < widths_.size();) {
            const Step taken = step(i, j);
            add_part(i, j, taken, found);
            i += taken.n_words;
            j += taken.n_ink;
        }
        return found;
    }

private:
    // The cost from here on, and how many of each belong together first.
    struct Step {
        double cost;
        size_t n_words, n_ink;

        bool operator<(const Step& other) const {
            return std::tie(cost, n_words, n_ink) <
                   std::tie(other.cost, other.n_words, other.n_ink);
        }
    };

    Step& step(size_t i, size_t j) { return steps_[i * (ink_.size() + 1) + j]; }

    Step solve(size_t i, size_t j) {
        const size_t n_words = widths_.size() - i, n_ink = ink_.size() - j;
        constexpr double kNever = std::numeric_limits<double>::infinity();
        if (n_words == 0 || n_ink == 0) return {n_words == n_ink ? 0 : kNever, n_words, n_ink};
        Step best{kNever, n_words, n_ink};
        const auto consider = [&](size_t n, size_t m) {
            const double wanted = sum_of(widths_.data() + i, n);
            const double found = ink_[j + m - 1].to - ink_[j].from;
            best = std::min(best, {std::abs(wanted - found) + step(i + n, j + m).cost, n, m});
        };
        for (size_t m = 1; m <= std::min(n_ink, kMostJoined); ++m) consider(1, m);
        for (size_t n = 2; n <= std::min(n_words, kMostJoined); ++n) consider(n, 1);
        if (n_ink == 1) consider(n_words, 1);
        if (n_words == 1) consider(1, n_ink);
        return best;
    }

    void add_part(size_t i, size_t j, const Step& taken, std::vector<Place>& places) const {
        const size_t last = j + taken.n_ink - 1;
        const double n_words = static_cast<double>(taken.n_words);
        const double sum = sum_of(widths_.data() + i, taken.n_words);
        const double gap = kGap * sum / n_words;
        const double per_px = (ink_[last].to - ink_[j].from) / (sum + gap * (n_words - 1));
        double left = ink_[j].from;
        for (size_t k = i; k < i + taken.n_words; ++k) {
            places.push_back(
                {static_cast<int>(j), static_cast<int>(last), left, left + widths_[k] * per_px});
            left += (widths_[k] + gap) * per_px;
        }
    }

    std::vector<double> widths_;
    const std::vector<Span>& ink_;
    std::vector<Step> steps_;  // by the first word and the first ink
};

}  // namespace

std::vector<Place> place_words(const std::vector<std::u32string_view>& words,
                               const std::vector<Span>& ink) {
    std::vector<Place> places;
    if (words.size() == ink.size()) {
        for (size_t i = 0; i < ink.size(); ++i) {
            places.push_back({static_cast<int>(i), static_cast<int>(i), ink[i].from, ink[i].to});
        }
        return places;
    }
    if (words.empty()) return places;
    std::vector<double> widths;
    for (const std::u32string_view word : words) widths.push_back(text_width(word));
    double n_px = 0;
    for (const Span& span : ink) n_px += span.to - span.from;
    const double per_unit = n_px / sum_of(widths.data(), widths.size());
    for (double& width : widths) width *= per_unit;
    return Alignment(std::move(widths), ink).places();
}

double text_width(std::u32string_view word) {
    double width = 0;
    for (const char32_t c : word) {
        const bool is_narrow = kNarrow.find(c) != kNarrow.npos;
        width += is_narrow ? 0.55 : kWide.find(c) != kWide.npos ? 1.4 : 1.0;
    }
    return width;
}

}  // namespace crispvl::lines
