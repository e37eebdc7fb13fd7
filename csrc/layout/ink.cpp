#include "layout/ink.h"

#include <array>
#include <cstdlib>

#include "layout/components.h"

namespace crispvl::layout {
namespace {

constexpr int kDarkestLightPaper = 200;  // above, nothing can be printed in a lighter ink
constexpr float kWeakShare = 0.6f;       // of the contrast asked for nearby: ink in doubt
constexpr float kFaintShare = 0.62f;     // of it, that the strongest px of faint ink have
constexpr int kSpeckPx = 16;             // smaller pieces must have all of it
constexpr float kFaintest = 0.18f;       // of usual print's strength
constexpr float kClearOfNoise = 1.3f;
constexpr int kMostCountedPx = 400;  // of one piece
constexpr float kOwnShare = 0.42f;   // of a piece's strongest px that its other px have
constexpr float kStrongest = 0.1f;   // share of a piece's px that are its strongest

// What is darker (or lighter) than its paper, and by how much.
struct Contrast {
    GreyImage levels;
    Bitmap weak;  // px that may be ink
};

Contrast contrast_of(const GreyImage& image, const Paper& paper, bool dark) {
    Contrast out{GreyImage(image.width, image.height), Bitmap(image.width, image.height)};
    const std::vector<uint8_t>& asked = dark ? paper.dark_contrast : paper.light_contrast;
    for (int y = 0; y < image.height; ++y) {
        const uint8_t* from = image.row(y);
        uint8_t* levels = out.levels.row(y);
        uint8_t* weak = out.weak.row(y);
        for (int x = 0; x < image.width; x += Paper::kTilePx) {
            const size_t tile = paper.index(x, y);
            const int level = paper.level[tile];
            if (!dark && level >= kDarkestLightPaper) continue;
            const int least =
                std::max(paper.least_contrast,
                         static_cast<int>(kWeakShare * static_cast<float>(asked[tile])));
            for (int i = x, end = std::min(image.width, x + Paper::kTilePx); i < end; ++i) {
                const int contrast = dark ? level - from[i] : from[i] - level;
                levels[i] = static_cast<uint8_t>(std::max(0, contrast));
                weak[i] = contrast > least;
            }
        }
    }
    return out;
}

// The contrast that a piece's strongest px have.
int strongest(const GreyImage& levels, const Components& pieces, const Component& piece) {
    std::array<int, 256> counts{};
    for (const Run* run = pieces.begin(piece); run != pieces.end(piece); ++run) {
        for (int x = run->from; x < run->to; ++x) ++counts[levels.row(run->y)[x]];
    }
    int n = 0, level = 255;
    for (; level > 0; --level) {
        n += counts[static_cast<size_t>(level)];
        if (static_cast<float>(n) >= kStrongest * static_cast<float>(piece.area)) break;
    }
    return level;
}

// What the strongest px of usual print have: half of all strong ink has more.
int usual_strength(const Components& pieces, const std::vector<int>& strengths) {
    std::array<int64_t, 256> areas{};
    int64_t total = 0, seen = 0;
    for (size_t i = 0; i < strengths.size(); ++i) {
        // A picture counts no more than some letters.
        const int area = std::min(pieces.all[i].area, kMostCountedPx);
        areas[static_cast<size_t>(strengths[i])] += int64_t{area} * strengths[i];
        total += int64_t{area} * strengths[i];
    }
    for (size_t level = 0; level < areas.size(); ++level) {
        seen += areas[level];
        if (2 * seen >= total) return static_cast<int>(level);
    }
    return 0;
}

// Each connected piece of ink by a threshold of its own, so that a faint letter beside bold ones
// stays, and bold ones that touch stay apart.
Bitmap ink_of(const GreyImage& image, const Paper& paper, bool dark) {
    const Contrast contrast = contrast_of(image, paper, dark);
    const std::vector<uint8_t>& asked = dark ? paper.dark_contrast : paper.light_contrast;
    Components pieces;
    find_components(contrast.weak, !dark, pieces);
    std::vector<int> strengths;
    for (const Component& piece : pieces.all)
        strengths.push_back(strongest(contrast.levels, pieces, piece));
    const float least_strength =
        std::max(kClearOfNoise * static_cast<float>(paper.least_contrast),
                 kFaintest * static_cast<float>(usual_strength(pieces, strengths)));
    Bitmap ink(image.width, image.height);
    for (size_t i = 0; i < pieces.all.size(); ++i) {
        const Component& piece = pieces.all[i];
        const size_t tile = paper.index((piece.box.left + piece.box.right) / 2,
                                        (piece.box.top + piece.box.bottom) / 2);
        const float share = piece.area < kSpeckPx ? 1.0f : kFaintShare;
        const float strength = static_cast<float>(strengths[i]);
        if (strength < std::max(least_strength, share * static_cast<float>(asked[tile]))) continue;
        const int least = static_cast<int>(kOwnShare * strength);
        for (const Run* run = pieces.begin(piece); run != pieces.end(piece); ++run) {
            const uint8_t* levels = contrast.levels.row(run->y);
            uint8_t* to = ink.row(run->y);
            for (int x = run->from; x < run->to; ++x) to[x] = levels[x] > least;
        }
    }
    return ink;
}

// Each px joined with its neighbours in the row, then with those in the column.
template <typename Join>
Bitmap joined_with_neighbours(const Bitmap& in, Join&& join) {
    Bitmap rows(in.width, in.height), out(in.width, in.height);
    for (int y = 0; y < in.height; ++y) {
        const uint8_t* from = in.row(y);
        uint8_t* to = rows.row(y);
        for (int x = 0; x < in.width; ++x) {
            to[x] =
                join(from[std::max(0, x - 1)], join(from[x], from[std::min(in.width - 1, x + 1)]));
        }
    }
    for (int y = 0; y < in.height; ++y) {
        const uint8_t* above = rows.row(std::max(0, y - 1));
        const uint8_t* here = rows.row(y);
        const uint8_t* below = rows.row(std::min(in.height - 1, y + 1));
        uint8_t* to = out.row(y);
        for (int x = 0; x < in.width; ++x) to[x] = join(above[x], join(here[x], below[x]));
    }
    return out;
}

}  // namespace

Bitmap closed(const Bitmap& ink) {
    const auto either = [](uint8_t a, uint8_t b) { return static_cast<uint8_t>(a | b); };
    const auto both = [](uint8_t a, uint8_t b) { return static_cast<uint8_t>(a & b); };
    return joined_with_neighbours(joined_with_neighbours(ink, either), both);
}

Ink find_ink(const GreyImage& image, const Paper& paper) {
    const bool has_dark_paper =
        std::any_of(paper.level.begin(), paper.level.end(),
                    [](uint8_t level) { return level < kDarkestLightPaper; });
    return {ink_of(image, paper, true), has_dark_paper ? ink_of(image, paper, false) : Bitmap()};
}

}  // namespace crispvl::layout
