#include "lines/contrast.h"

#include <array>
#include <cmath>

namespace crispvl::lines {
namespace {

using layout::GreyImage;

constexpr double kSamples = 100000;  // pixels looked at, of however many
// Luma is kept where it spans this share of what the best channel spans.
constexpr double kEnough = 0.6;
// Levels by which letters differ from the paper: from the first on there may be some, and fewer
// than the second are made the third.
constexpr double kFaintest = 12, kFaint = 40, kLegible = 96;

// How often each level occurs among some pixels.
struct Levels {
    std::array<int64_t, 256> counts{};
    int64_t n = 0;

    void add(uint8_t level) {
        ++counts[level];
        ++n;
    }
    // The first level up to which there are at least `n_wanted` pixels.
    int first_with(double n_wanted) const {
        int64_t n_below = 0;
        for (int level = 0; level < 256; ++level) {
            n_below += counts[static_cast<size_t>(level)];
            if (static_cast<double>(n_below) >= n_wanted) return level;
        }
        return 256;
    }
    // The i-th smallest.
    int at(int64_t i) const { return first_with(static_cast<double>(i) + 1); }
    // Between the two nearest, in proportion.
    double percentile(double percent) const {
        const double place = percent / 100 * static_cast<double>(n - 1);
        const auto i = static_cast<int64_t>(std::floor(place));
        const double low = at(i), high = at(std::min(i + 1, n - 1));
        const double t = place - static_cast<double>(i);
        return t >= 0.5 ? high - (high - low) * (1 - t) : low + (high - low) * t;
    }
    // The distance of the lightest from the darkest, specks left out.
    double span() const {
        const double size = static_cast<double>(n);
        return first_with(0.995 * size) - first_with(0.005 * size);
    }
};

void strengthen(GreyImage& channel, const Levels& sample) {
    const double low = sample.percentile(0.05), paper = sample.percentile(50);
    const double high = sample.percentile(99.95);
    const double span = std::max(high - paper, paper - low);
    if (span < kFaintest || span >= kFaint) return;
    std::array<uint8_t, 256> table{};
    for (int level = 0; level < 256; ++level) {
        const double value = paper + (level - paper) * (kLegible / span);
        table[static_cast<size_t>(level)] = static_cast<uint8_t>(std::clamp(value, 0.0, 255.0));
    }
    for (uint8_t& level : channel.pixels) level = table[level];
}

GreyImage channel_of(const RgbImage& page, size_t i_channel) {
    GreyImage channel(static_cast<int>(page.width), static_cast<int>(page.height));
    for (size_t i = 0; i < channel.pixels.size(); ++i) {
        channel.pixels[i] = page.pixels[3 * i + i_channel];
    }
    return channel;
}

}  // namespace

GreyImage luma_of(const RgbImage& page) {
    GreyImage luma(static_cast<int>(page.width), static_cast<int>(page.height));
    const uint8_t* p = page.pixels.data();
    for (uint8_t& level : luma.pixels) {
        level =
            static_cast<uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
        p += 3;
    }
    return luma;
}

GreyImage contrast_channel(const RgbImage& page, GreyImage luma) {
    const double n_pixels = static_cast<double>(luma.pixels.size());
    const auto step =
        std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(std::sqrt(n_pixels / kSamples))));
    std::array<Levels, 3> channels;
    Levels of_luma;
    for (int64_t y = 0; y < page.height; y += step) {
        for (int64_t x = 0; x < page.width; x += step) {
            const size_t i = static_cast<size_t>(y * page.width + x);
            of_luma.add(luma.pixels[i]);
            for (size_t c = 0; c < 3; ++c) channels[c].add(page.pixels[3 * i + c]);
        }
    }
    size_t best = 0;
    for (size_t c = 1; c < 3; ++c) {
        if (channels[c].span() > channels[best].span()) best = c;
    }
    if (of_luma.span() >= kEnough * channels[best].span()) {
        strengthen(luma, of_luma);
        return luma;
    }
    GreyImage channel = channel_of(page, best);
    strengthen(channel, channels[best]);
    return channel;
}

}  // namespace crispvl::lines
