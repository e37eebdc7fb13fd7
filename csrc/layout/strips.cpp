#include "layout/strips.h"

#include <cmath>

namespace crispvl {
namespace {

constexpr float kMarginPx = 3;         // of the strip, left and right
constexpr int64_t kMostWidth = 65536;  // px
constexpr int kMostSamples = 16;       // per strip px and axis
constexpr int kSmoothSamples = 3;      // from which on the average needs no interpolation

float grey_at(const PixelView& page, int64_t x, int64_t y) {
    x = std::clamp<int64_t>(x, 0, page.width - 1);
    y = std::clamp<int64_t>(y, 0, page.height - 1);
    const size_t step = bytes_per_pixel(page.format);
    const uint8_t* p =
        page.data + static_cast<size_t>(y) * page.stride_bytes + static_cast<size_t>(x) * step;
    if (step == 1) return p[0];
    const bool blue_first = page.format == PixelFormat::bgr || page.format == PixelFormat::bgra;
    const float luma =
        0.299f * p[blue_first ? 2 : 0] + 0.587f * p[1] + 0.114f * p[blue_first ? 0 : 2];
    return step == 4 ? 255 + (luma - 255) * static_cast<float>(p[3]) / 255 : luma;
}

// Bilinear, at a point whose px have their centres at halves.
float sample(const PixelView& page, float x, float y) {
    const float fx = std::floor(x - 0.5f), fy = std::floor(y - 0.5f);
    const float u = x - 0.5f - fx, v = y - 0.5f - fy;
    const int64_t x0 = static_cast<int64_t>(fx), y0 = static_cast<int64_t>(fy);
    const bool is_inside = x0 >= 0 && y0 >= 0 && x0 + 1 < page.width && y0 + 1 < page.height;
    if (is_inside && page.format == PixelFormat::grey) {
        const uint8_t* p = page.data + static_cast<size_t>(y0) * page.stride_bytes + x0;
        const uint8_t* q = p + page.stride_bytes;
        const float top = static_cast<float>(p[0]) * (1 - u) + static_cast<float>(p[1]) * u;
        const float bottom = static_cast<float>(q[0]) * (1 - u) + static_cast<float>(q[1]) * u;
        return top * (1 - v) + bottom * v;
    }
    const float above = grey_at(page, x0, y0) * (1 - u) + grey_at(page, x0 + 1, y0) * u;
    const float below = grey_at(page, x0, y0 + 1) * (1 - u) + grey_at(page, x0 + 1, y0 + 1) * u;
    return above * (1 - v) + below * v;
}

// The value that `share` of the values are below.
float quantile(std::vector<float> values, float share) {
    const auto i = static_cast<std::ptrdiff_t>(share * static_cast<float>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + i, values.end());
    return values[static_cast<size_t>(i)];
}

// Mean of the samples of a strip's px, and the share of them that are within the line's room.
struct Average {
    float value = 0, share = 0;
};

// Stretches grey levels so that paper becomes white and the ink black; faint ink is not made so
// strong that noise turns to letters. What is out of the line's room becomes paper.
std::vector<uint8_t> even_out(std::vector<Average>& averages, bool inverse) {
    std::vector<float> values;
    for (Average& a : averages) {
        if (inverse) a.value = 255 - a.value;
        if (a.share > 0) values.push_back(a.value);
    }
    if (values.empty()) values.push_back(255);
    const float paper = quantile(values, 0.75f), ink = quantile(values, 0.03f);
    const float contrast = std::max(paper - ink, 40.0f);
    std::vector<uint8_t> grey;
    for (const Average& a : averages) {
        const float darker = (paper - a.value) * 240 / contrast * a.share;
        grey.push_back(static_cast<uint8_t>(std::lround(std::clamp(255 - darker, 0.0f, 255.0f))));
    }
    return grey;
}

// Whether a point, px along a line and under its baseline, is farther from it than other lines are.
bool is_out_of_room(const LayoutLine& line, float along, float down) {
    const int64_t n = static_cast<int64_t>(line.room_over.size());
    if (n == 0) return false;
    const auto i = static_cast<size_t>(
        std::clamp<int64_t>(static_cast<int64_t>(along / line.room_step), 0, n - 1));
    return -down > line.room_over[i] || down > line.room_under[i];
}

// Samples per strip px; a page px is `scale` of them.
int samples_per_px(float scale) {
    return std::clamp(static_cast<int>(std::ceil(1 / scale)), 1, kMostSamples);
}

// Where, in strip px, the i-th of n samples of a px is.
float middle_of(int64_t px, int i, int n) {
    return static_cast<float>(px) + (static_cast<float>(i) + 0.5f) / static_cast<float>(n);
}

// Strip px per page px, across the line.
float px_per_px(const LayoutLine& line, const StripOptions& options) {
    return static_cast<float>(options.height_px) / (line.band_above + line.band_below);
}

}  // namespace

int64_t cut_width(const LayoutLine& line, const StripOptions& options) {
    const float scale = px_per_px(line, options) * options.stretch;
    const float width = (options.to - options.from) * scale + 2 * kMarginPx;
    return std::clamp<int64_t>(std::lround(width), 1, kMostWidth);
}

Strip cut_line(const PixelView& page, const LayoutLine& line, const StripOptions& options) {
    if (options.height_px < 4 || !(options.to > options.from) || !(options.stretch >= 0.1f)) {
        throw Error(ErrorKind::argument,
                    "[strip] expected a height of 4 px or more, x_from < x_to and a stretch of 0.1 "
                    "or more; found " +
                        std::to_string(options.height_px) + " px, " + std::to_string(options.from) +
                        " to " + std::to_string(options.to) + ", " +
                        std::to_string(options.stretch) + "; change them");
    }
    const float scale = px_per_px(line, options), scale_along = scale * options.stretch;
    const layout::Point start = line.baseline[0], end = line.baseline[1];
    const float length = std::max(1e-3f, std::hypot(end.x - start.x, end.y - start.y));
    const float ux = (end.x - start.x) / length, uy = (end.y - start.y) / length;
    Strip strip;
    strip.height = options.height_px;
    strip.width = cut_width(line, options);
    const int n_across = samples_per_px(scale), n_along = samples_per_px(scale_along);
    const bool is_smooth = std::min(n_across, n_along) >= kSmoothSamples;
    const float n = static_cast<float>(n_across * n_along);
    std::vector<Average> averages;
    averages.reserve(static_cast<size_t>(strip.height * strip.width));
    for (int64_t v = 0; v < strip.height; ++v) {
        for (int64_t u = 0; u < strip.width; ++u) {
            float sum = 0;
            int n_within = 0;
            for (int j = 0; j < n_across; ++j) {
                const float down = middle_of(v, j, n_across) / scale - line.band_above;
                for (int i = 0; i < n_along; ++i) {
                    const float along =
                        options.from + (middle_of(u, i, n_along) - kMarginPx) / scale_along;
                    if (is_out_of_room(line, along, down)) continue;
                    ++n_within;
                    const float x = start.x + along * ux - down * uy;
                    const float y = start.y + along * uy + down * ux;
                    sum += is_smooth ? grey_at(page, static_cast<int64_t>(std::floor(x)),
                                               static_cast<int64_t>(std::floor(y)))
                                     : sample(page, x, y);
                }
            }
            averages.push_back({sum / static_cast<float>(std::max(1, n_within)),
                                static_cast<float>(n_within) / n});
        }
    }
    strip.grey = even_out(averages, line.inverse);
    return strip;
}

}  // namespace crispvl
