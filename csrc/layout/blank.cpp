#include "layout/blank.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "image/resize.h"

namespace crispvl {
namespace {

// Pages are looked at in this size, in which the smallest print still shows.
constexpr int64_t kMaxSidePx = 1600;
// Levels by which ink differs from the paper around it; scanner noise stays below.
constexpr double kMinContrast = 24;
// Levels by which ink differs on a page without noise: thin strokes of light grey letters.
constexpr double kFaintestContrast = 12;
// Fewest pixels of ink on a page that is not blank: the smallest figure has more, a speck less.
constexpr int64_t kMinInkPx = 8;
constexpr int64_t kPaperPx = 31;  // the paper's own level is looked for within about this distance
constexpr double kNoise = 5;      // standard deviations of noise that are no ink
// Dark pixels within as wide a window that make a stroke; dust has fewer.
constexpr int64_t kStrokePx = 5;
constexpr int64_t kDitherPx = 32;  // side of the window in which dots of dithered letters count
// Standard deviations above the paper's dots in a window that chance does not reach.
constexpr double kChance = 10;

// A channel of the page or what is known of its pixels, [height, width].
struct Plane {
    int64_t width, height;
    std::vector<uint8_t> values;
};

RgbImage reduced(const RgbImage& page) {
    const int64_t side = std::max(page.width, page.height);
    if (side <= kMaxSidePx) return page;
    const double scale = static_cast<double>(kMaxSidePx) / static_cast<double>(side);
    const auto scaled = [&](int64_t n) {
        return std::max<int64_t>(1, std::llround(static_cast<double>(n) * scale));
    };
    return resize(page, scaled(page.width), scaled(page.height), Filter::box);
}

bool is_grey(const RgbImage& page) {
    for (size_t i = 0; i < page.pixels.size(); i += 3) {
        const uint8_t* p = page.pixels.data() + i;
        if (p[0] != p[1] || p[1] != p[2]) return false;
    }
    return true;
}

// Of each pixel and channel the median of 5 × 5, in which the edges repeat.
RgbImage median_of_25(const RgbImage& image) {
    RgbImage out(image.width, image.height);
    std::array<uint8_t, 25> window{};
    for (int64_t y = 0; y < image.height; ++y) {
        for (int64_t x = 0; x < image.width; ++x) {
            for (int64_t channel = 0; channel < 3; ++channel) {
                for (int64_t i = 0; i < 25; ++i) {
                    const int64_t from_y = std::clamp<int64_t>(y + i / 5 - 2, 0, image.height - 1);
                    const int64_t from_x = std::clamp<int64_t>(x + i % 5 - 2, 0, image.width - 1);
                    window[static_cast<size_t>(i)] = image.pixels[static_cast<size_t>(
                        3 * (from_y * image.width + from_x) + channel)];
                }
                std::nth_element(window.begin(), window.begin() + 12, window.end());
                out.pixels[static_cast<size_t>(3 * (y * image.width + x) + channel)] = window[12];
            }
        }
    }
    return out;
}

// The paper under each pixel: the median of its wider neighbourhood.
RgbImage paper_of(const RgbImage& page) {
    const RgbImage small = resize(page, std::max<int64_t>(3, page.width / kPaperPx),
                                  std::max<int64_t>(3, page.height / kPaperPx), Filter::box);
    return resize(median_of_25(small), page.width, page.height, Filter::bilinear);
}

// Levels between two pictures of one size, in one channel.
Plane contrast_of(const RgbImage& page, const RgbImage& paper, size_t channel) {
    Plane plane{page.width, page.height, std::vector<uint8_t>(page.pixels.size() / 3)};
    for (size_t i = 0; i < plane.values.size(); ++i) {
        const int level = page.pixels[3 * i + channel], ground = paper.pixels[3 * i + channel];
        plane.values[i] = static_cast<uint8_t>(std::abs(level - ground));
    }
    return plane;
}

using Histogram = std::array<int64_t, 256>;

Histogram histogram_of(const std::vector<uint8_t>& levels) {
    Histogram counts{};
    for (const uint8_t level : levels) ++counts[level];
    return counts;
}

double median_level(const std::vector<uint8_t>& levels) {
    const Histogram counts = histogram_of(levels);
    const auto level_at = [&](int64_t i) {
        size_t level = 0;
        for (int64_t n = counts[0]; n <= i; n += counts[++level]) {
        }
        return static_cast<double>(level);
    };
    const auto n = static_cast<int64_t>(levels.size());
    return (level_at((n - 1) / 2) + level_at(n / 2)) / 2;
}

// Which pixels differ from the paper by more than noise does.
Plane dark_of(Plane contrast) {
    // The standard deviation, were all of it noise.
    const double noise = median_level(contrast.values) / 0.6745;
    const double least = std::max(kFaintestContrast, std::min(kNoise * noise, 2 * kMinContrast));
    for (uint8_t& value : contrast.values) value = value > least;
    return contrast;
}

// How many pixels are set in the window around each, itself counted.
std::vector<int32_t> neighbours(const Plane& set, int64_t side_px) {
    const int64_t before = side_px / 2, after = side_px - 1 - before;
    // Sums over rectangles from the top left corner, with a row and a column of zeros before.
    const int64_t stride = set.width + 1;
    std::vector<int32_t> sums(static_cast<size_t>(stride * (set.height + 1)));
    for (int64_t y = 0; y < set.height; ++y) {
        int32_t in_row = 0;
        for (int64_t x = 0; x < set.width; ++x) {
            in_row += set.values[static_cast<size_t>(y * set.width + x)];
            const auto at = static_cast<size_t>((y + 1) * stride + x + 1);
            sums[at] = sums[at - static_cast<size_t>(stride)] + in_row;
        }
    }
    const auto sum_to = [&](int64_t x, int64_t y) {
        return sums[static_cast<size_t>(y * stride + x)];
    };
    std::vector<int32_t> counts(set.values.size());
    for (int64_t y = 0; y < set.height; ++y) {
        const int64_t top = std::max<int64_t>(0, y - before);
        const int64_t bottom = std::min(set.height, y + after + 1);
        for (int64_t x = 0; x < set.width; ++x) {
            const int64_t left = std::max<int64_t>(0, x - before);
            const int64_t right = std::min(set.width, x + after + 1);
            counts[static_cast<size_t>(y * set.width + x)] = sum_to(right, bottom) -
                                                             sum_to(left, bottom) -
                                                             sum_to(right, top) + sum_to(left, top);
        }
    }
    return counts;
}

// Adds dark pixels that have this many around them in a window; returns how many ink has then.
int64_t add_dense(const Plane& dark, const std::vector<int32_t>& counts, double fewest,
                  Plane& ink) {
    int64_t n_ink = 0;
    for (size_t i = 0; i < ink.values.size(); ++i) {
        if (dark.values[i] != 0 && counts[i] >= fewest) ink.values[i] = 1;
        n_ink += ink.values[i];
    }
    return n_ink;
}

// Whether the paper has one level, as where dots are shades of grey.
bool is_even(const RgbImage& page, size_t channel) {
    Histogram counts{};
    for (size_t i = channel; i < page.pixels.size(); i += 3) ++counts[page.pixels[i]];
    return 2 * *std::max_element(counts.begin(), counts.end()) > page.width * page.height;
}

// The dots in a window that a quarter of the windows have at the most.
double dots_on_paper(std::vector<int32_t> dots) {
    const auto quarter = dots.begin() + static_cast<std::ptrdiff_t>((dots.size() - 1) / 4);
    std::nth_element(dots.begin(), quarter, dots.end());
    return *quarter;
}

}  // namespace

bool is_blank(const RgbImage& whole) {
    const RgbImage page = reduced(whole);
    const RgbImage paper = paper_of(page);
    const size_t n_channels = is_grey(page) ? 1 : 3;
    std::vector<Plane> dark;
    Plane ink{page.width, page.height, std::vector<uint8_t>(page.pixels.size() / 3)};
    for (size_t channel = 0; channel < n_channels; ++channel) {
        dark.push_back(dark_of(contrast_of(page, paper, channel)));
        const std::vector<int32_t> near = neighbours(dark.back(), kStrokePx);
        if (add_dense(dark.back(), near, kStrokePx, ink) >= kMinInkPx) return false;
    }
    // Letters of shades are dots, which make no strokes but are denser than the paper's.
    for (size_t channel = 0; channel < n_channels; ++channel) {
        if (!is_even(page, channel)) continue;
        const std::vector<int32_t> dots = neighbours(dark[channel], kDitherPx);
        const double on_paper = dots_on_paper(dots);
        const double fewest = on_paper + kChance * std::sqrt(std::max(on_paper, 1.0));
        if (add_dense(dark[channel], dots, fewest, ink) >= kMinInkPx) return false;
    }
    return true;
}

}  // namespace crispvl
