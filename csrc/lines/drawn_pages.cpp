#include "lines/drawn_pages.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace crispvl::lines {
namespace {

constexpr double kSamples = 1000000;  // pixels looked at, of however many
constexpr std::ptrdiff_t kNear = 40;  // levels within which a pixel is nearly paper
// Pixels that are nearly paper, by those of ink: letters with smooth edges have between so many,
// thresholded ones none, and a scanner's noise and JPEG make more.
constexpr double kSmooth = 0.02, kNoisy = 0.25;

}  // namespace

bool is_drawn(const PixelView& page) {
    const double n_pixels = static_cast<double>(page.width) * static_cast<double>(page.height);
    const auto step =
        std::max<int64_t>(1, static_cast<int64_t>(std::nearbyint(std::sqrt(n_pixels / kSamples))));
    std::array<int64_t, 256> counts{};
    for (int64_t y = 0; y < page.height; y += step) {
        const uint8_t* row = page.data + static_cast<size_t>(y) * page.stride_bytes;
        for (int64_t x = 0; x < page.width; x += step) ++counts[row[x]];
    }
    const auto paper = std::max_element(counts.begin(), counts.end());
    const auto first = paper - std::min(kNear, paper - counts.begin());
    const auto end = paper + std::min(kNear + 1, counts.end() - paper);
    const int64_t n_around = std::accumulate(first, end, int64_t{0});
    const auto n_near = static_cast<double>(n_around - *paper);
    const auto n_ink =
        static_cast<double>(std::accumulate(counts.begin(), counts.end(), int64_t{0}) - n_around);
    return kSmooth * n_ink < n_near && n_near < kNoisy * n_ink;
}

}  // namespace crispvl::lines
