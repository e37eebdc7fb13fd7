#include "layout/evidence.h"

#include <cmath>

#include "layout/neighbours.h"
#include "layout/upright.h"

namespace crispvl::layout {
namespace {

constexpr float kLeastCore = 5;  // px
constexpr size_t kNear = 6;      // lines before and after, from top to bottom, that count
constexpr float kNearShare = 0.8f;
constexpr float kMostCounted = 8;         // letters of a line nearby
constexpr float kSureWeightOfFew = 2.2f;  // letters, fewer than five
constexpr float kSureWeight = 1.5f, kLeastSure = 0.25f, kPicturePrior = -3;

constexpr float kRowWeight = 2;       // of being in a row with surer lines
constexpr float kLikeRows = 0.6f;     // of the higher line's ascenders that the lower one's have
constexpr float kSamePlace = 0.5f;    // of the smaller of two lines that both cover
constexpr float kLikeBars = 0.8f;     // the same of single strokes, which could be anything
constexpr float kLikeColons = 0.45f;  // the same of colons, which are lower than ascenders
constexpr float kColonDot = 0.45f;    // of a colon's height
constexpr float kRowReach = 15;       // in ascenders, from one line of a row to the next
constexpr float kEnoughOnPicture = 3, kSureOnPicture = 2;  // letters, and weight
constexpr size_t kMostBarPieces = 3;
constexpr size_t kLeastBars = 7;  // of a bar code

// Ink of one polarity, summed over squares of 4 × 4 px and over all squares above and left.
class InkSums {
public:
    InkSums(const Components& components, bool light) {
        for (const Component& c : components.all) {
            columns_ = std::max(columns_, c.box.right / kPx + 2);
            rows_ = std::max(rows_, c.box.bottom / kPx + 2);
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
        const int left = box.left / kPx, top = box.top / kPx;
        const int right = (box.right - 1) / kPx + 1, bottom = (box.bottom - 1) / kPx + 1;
        return static_cast<float>(at(right, bottom) - at(left, bottom) - at(right, top) +
                                  at(left, top));
    }

private:
    static constexpr int kPx = 4;

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
        for (int x = run.from; x < run.to; ++x) ++at(x / kPx + 1, run.y / kPx + 1);
    }

    int columns_ = 2, rows_ = 2;
    std::vector<int> sums_;
};

// Two dots above each other, as `find_letters` makes one letter of them.
bool is_colon(const Components& components, const TextLine& line) {
    if (line.pieces.size() != 2) return false;
    const auto box = [&](size_t i) -> const Box& {
        return components.all[static_cast<size_t>(line.pieces[i].component)].box;
    };
    const auto is_dot = [&](const Box& dot) {
        const auto extent = static_cast<float>(std::max(dot.width(), dot.height()));
        return extent <= kColonDot * static_cast<float>(line.box.height());
    };
    return is_dot(box(0)) && is_dot(box(1)) && y_overlap(box(0), box(1)) < 0;
}

struct Posture {
    int n_letters = 0;
    float on_base = 0;  // share of letters that end at the baseline
};

Posture posture_of(const Components& components, const TextLine& line) {
    if (line.colon) return {1, 1};  // one sign, whose dots are no letters
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
    if (line.core < kLeastCore || posture.n_letters == 0 || line.stroke >= 0.9f * line.core)
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
        const float most = posture.n_letters >= 8 ? 1.5f : 0.6f;
        sum += on >= 0.8f ? most : on >= 0.6f ? 0.0f : on >= 0.4f ? -1.2f : -2.5f;
    }
    sum += std::clamp(0.3f * (odds.sum - 0.4f * odds.n), -3.0f, 6.0f);
    if (posture.n_letters < 3) sum -= 1;
    return sum;
}

// A line that may be text.
struct Candidate {
    TextLine line;
    float letters;  // that count
    float weight;   // log-likelihood ratio of text, by itself
    bool on_picture;
    bool kept = false;
};

std::vector<Candidate> weigh_all(const Components& components, const Pictures& pictures,
                                 int text_height, std::vector<TextLine>& lines) {
    const InkSums dark(components, false), light(components, true);
    std::vector<Candidate> candidates;
    for (TextLine& line : lines) {
        line.colon = is_colon(components, line);
        const Posture posture = posture_of(components, line);
        if (!is_plausible(line, posture, text_height)) continue;
        const LetterOdds odds = letter_odds(components, line);
        const float weight = weigh(components, line.light ? light : dark, line, posture, odds);
        const bool on_picture = pictures.hold(line.box);
        candidates.push_back(
            {std::move(line), static_cast<float>(posture.n_letters), weight, on_picture});
    }
    return candidates;
}

// What the lines before and after one, from top to bottom, say about it.
float evidence_nearby(const std::vector<Candidate>& candidates, size_t i) {
    float near = 0, n = 0;
    const size_t end = std::min(candidates.size(), i + kNear + 1);
    for (size_t j = i - std::min(i, kNear); j < end; ++j) {
        if (j == i) continue;
        const float counted = std::min(kMostCounted, candidates[j].letters);
        near += counted * std::clamp(candidates[j].weight, -3.0f, 3.0f);
        n += counted;
    }
    return n > 0 ? kNearShare * near / n : 0.0f;
}

// What a scanner's edge, a fold and the frame of a picture leave: upright strokes far higher than
// wide, which in a row of letters may be one of them.
bool is_bar(const TextLine& line) {
    return line.pieces.size() <= kMostBarPieces && line.box.height() > 4 * line.box.width();
}

// Upright strokes of one height beside each other.
bool is_bar_code(const Components& components, const TextLine& line) {
    size_t n = 0;
    for (const Piece& piece : line.pieces) {
        const Box& box = components.all[static_cast<size_t>(piece.component)].box;
        n += box.height() > 4 * box.width() && 10 * box.height() > 8 * line.box.height();
    }
    return line.pieces.size() >= kLeastBars && 4 * n >= 3 * line.pieces.size();
}

// Whether two lines have one baseline and letters of one size.
bool in_one_row(const TextLine& a, const TextLine& b) {
    const float low = std::min(a.above, b.above), high = std::max(a.above, b.above);
    const float x = a.box.x_center();
    const int gap = -x_overlap(a.box, b.box);
    const float alike = a.colon ? kLikeColons : is_bar(a) ? kLikeBars : kLikeRows;
    return low > alike * high && static_cast<float>(gap) < kRowReach * high &&
           std::fabs(a.baseline_at(x) - b.baseline_at(x)) < 0.3f * low;
}

// Calls visit(other) for what may be in the row of a line.
template <typename Visit>
void each_near(const std::vector<Candidate>& candidates, size_t i, Visit&& visit) {
    const TextLine& line = candidates[i].line;
    const float reach = 3 * line.above + 0.03f * static_cast<float>(line.box.width());
    for (size_t j = i; j-- > 0 && line.base - candidates[j].line.base < reach;) {
        visit(candidates[j]);
    }
    for (size_t j = i + 1; j < candidates.size() && candidates[j].line.base - line.base < reach;
         ++j) {
        visit(candidates[j]);
    }
}

// Whether a line of few letters has surer ones in its row; a colon, on its left, and something to
// its right.
bool has_row(const std::vector<Candidate>& candidates, size_t i) {
    const TextLine& line = candidates[i].line;
    bool is_supported = false, is_followed = !line.colon;
    each_near(candidates, i, [&](const Candidate& other) {
        if (other.on_picture != candidates[i].on_picture || !in_one_row(line, other.line)) return;
        const bool is_right = other.line.box.left > line.box.right;
        is_followed |= is_right && !other.line.colon;
        is_supported |= other.letters >= 3 && other.weight > 1 && !(line.colon && is_right);
    });
    return is_supported && is_followed;
}

// The halo of dark letters is no light print, nor are the counters of light ones dark: of two lines
// of both kinds at one place one is kept.
void drop_halos(int text_height, std::vector<Candidate>& candidates) {
    std::vector<Box> boxes;
    for (const Candidate& candidate : candidates) boxes.push_back(candidate.line.box);
    const BoxIndex index(boxes, text_height);
    int widest = 0;
    for (const Box& box : boxes) widest = std::max(widest, box.width());
    const auto area = [](const Box& box) {
        return static_cast<float>(box.width()) * static_cast<float>(box.height());
    };
    for (size_t i = 0; i < candidates.size(); ++i) {
        if (!candidates[i].line.light) continue;
        index.each_between(boxes[i], boxes[i].left - widest, boxes[i].right, [&](size_t j) {
            Candidate &a = candidates[i], &b = candidates[j];
            if (!a.kept || !b.kept || b.line.light) return;
            const float wide = static_cast<float>(x_overlap(boxes[i], boxes[j])),
                        high = static_cast<float>(y_overlap(boxes[i], boxes[j]));
            const float smaller = std::min(area(boxes[i]), area(boxes[j]));
            if (wide <= 0 || high <= 0 || wide * high < kSamePlace * smaller) return;
            const bool light_wins = a.weight * a.letters > b.weight * b.letters;
            (light_wins ? b : a).kept = false;
        });
    }
}

}  // namespace

void keep_text(const Components& components, const Pictures& pictures, int text_height,
               std::vector<TextLine>& lines) {
    std::stable_sort(lines.begin(), lines.end(),
                     [](const TextLine& a, const TextLine& b) { return a.base < b.base; });
    std::vector<Candidate> candidates = weigh_all(components, pictures, text_height, lines);
    float sure = 0, total = 0;  // letters
    for (const Candidate& candidate : candidates) {
        total += candidate.letters;
        const float least = candidate.letters < 5 ? kSureWeightOfFew : kSureWeight;
        if (candidate.letters >= 3 && candidate.weight >= least) sure += candidate.letters;
    }
    // Where most of a page is doubtful all of it is a picture.
    const float prior = sure < kLeastSure * total ? kPicturePrior : 0.0f;
    for (size_t i = 0; i < candidates.size(); ++i) {
        const bool row = prior == 0 && candidates[i].letters < 3 && has_row(candidates, i);
        if (candidates[i].line.colon && !row) continue;
        const bool doubtful = !row && (candidates[i].letters < kEnoughOnPicture ||
                                       candidates[i].weight < kSureOnPicture);
        if (doubtful && candidates[i].on_picture) continue;
        const float all = prior + candidates[i].weight + evidence_nearby(candidates, i) +
                          (row ? kRowWeight : 0.0f);
        candidates[i].kept = all > 0 && (row || !is_bar(candidates[i].line)) &&
                             !is_bar_code(components, candidates[i].line);
    }
    drop_halos(text_height, candidates);
    lines.clear();
    for (Candidate& candidate : candidates) {
        if (candidate.kept) lines.push_back(std::move(candidate.line));
    }
}

}  // namespace crispvl::layout
