#include "image/resize.h"

#include <algorithm>
#include <cmath>

namespace crispvl {
namespace {

// Weights are fixed-point numbers: 32 bits less 8 for the value and 2 for overshoot and sign.
constexpr int kPrecisionBits = 32 - 8 - 2;
constexpr int32_t kHalf = 1 << (kPrecisionBits - 1);

// The cubic convolution kernel with a = -0.5 (Keys 1981). The order of operations is Pillow's: the
// weights are rounded, so a last bit can matter.
double cubic(double x) {
    constexpr double a = -0.5;
    x = std::fabs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
    if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
    return 0.0;
}

// Source pixels to each side that a filter takes in, at scale 1.
double support_of(Filter filter) {
    return filter == Filter::bicubic ? 2.0 : filter == Filter::bilinear ? 1.0 : 0.5;
}

double weight_at(double x, Filter filter) {
    if (filter == Filter::bicubic) return cubic(x);
    if (filter == Filter::bilinear) return std::max(0.0, 1.0 - std::fabs(x));
    return x > -0.5 && x <= 0.5 ? 1.0 : 0.0;
}

// Which source pixels make up each output pixel of one axis.
struct Taps {
    Taps(int64_t n_in, int64_t n_out, Filter filter);

    const int32_t* weights_of(int64_t i) const { return weights.data() + i * n_max; }

    int64_t n_max;                      // most weights per output pixel
    std::vector<int64_t> first, count;  // per output pixel
    std::vector<int32_t> weights;       // [n_out, n_max]
};

Taps::Taps(int64_t n_in, int64_t n_out, Filter filter) {
    // Pillow holds the box in floats.
    const double scale = static_cast<double>(static_cast<float>(n_in)) / static_cast<double>(n_out);
    const double filter_scale = std::max(scale, 1.0);
    const double support = support_of(filter) * filter_scale;
    const double step = 1.0 / filter_scale;
    n_max = static_cast<int64_t>(std::ceil(support)) * 2 + 1;
    weights.resize(static_cast<size_t>(n_max * n_out));
    std::vector<double> w(static_cast<size_t>(n_max));
    for (int64_t i = 0; i < n_out; ++i) {
        const double center = (static_cast<double>(i) + 0.5) * scale;
        const int64_t begin = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
        const int64_t end = std::min(n_in, static_cast<int64_t>(center + support + 0.5));
        const int64_t n = end - begin;
        double sum = 0.0;
        for (int64_t j = 0; j < n; ++j) {
            const double x = (static_cast<double>(j + begin) - center + 0.5) * step;
            w[static_cast<size_t>(j)] = weight_at(x, filter);
            sum += w[static_cast<size_t>(j)];
        }
        for (int64_t j = 0; j < n; ++j) {
            double value = w[static_cast<size_t>(j)];
            if (sum != 0.0) value /= sum;
            value = value * (1 << kPrecisionBits) + (value < 0 ? -0.5 : 0.5);
            weights[static_cast<size_t>(i * n_max + j)] = static_cast<int32_t>(value);
        }
        first.push_back(begin);
        count.push_back(n);
    }
}

uint8_t clip(int32_t sum) {
    return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

// Rows `first_row` to `first_row + n_rows` of the image, resized to `width`.
RgbImage resize_columns(const RgbImage& image, const Taps& taps, int64_t first_row,
                        int64_t n_rows) {
    const auto width = static_cast<int64_t>(taps.first.size());
    RgbImage out(width, n_rows);
    uint8_t* to = out.pixels.data();
    for (int64_t y = 0; y < n_rows; ++y) {
        const uint8_t* row = image.pixels.data() + (first_row + y) * image.width * 3;
        for (int64_t x = 0; x < width; ++x, to += 3) {
            const size_t i = static_cast<size_t>(x);
            const uint8_t* from = row + taps.first[i] * 3;
            const int32_t* weight = taps.weights_of(x);
            int32_t red = kHalf, green = kHalf, blue = kHalf;
            for (int64_t j = 0; j < taps.count[i]; ++j, from += 3) {
                red += from[0] * weight[j];
                green += from[1] * weight[j];
                blue += from[2] * weight[j];
            }
            to[0] = clip(red);
            to[1] = clip(green);
            to[2] = clip(blue);
        }
    }
    return out;
}

// `image` holds the rows from `first_row` on; `taps` counts from the whole image's first row.
RgbImage resize_rows(const RgbImage& image, const Taps& taps, int64_t height, int64_t first_row) {
    RgbImage out(image.width, height);
    const int64_t n = image.width * 3;
    std::vector<int32_t> sums(static_cast<size_t>(n));
    uint8_t* to = out.pixels.data();
    for (int64_t y = 0; y < height; ++y, to += n) {
        std::fill(sums.begin(), sums.end(), kHalf);
        const size_t i = static_cast<size_t>(y);
        const uint8_t* from = image.pixels.data() + (taps.first[i] - first_row) * n;
        for (int64_t j = 0; j < taps.count[i]; ++j, from += n) {
            const int32_t weight = taps.weights_of(y)[j];
            for (int64_t x = 0; x < n; ++x) sums[static_cast<size_t>(x)] += from[x] * weight;
        }
        for (int64_t x = 0; x < n; ++x) to[x] = clip(sums[static_cast<size_t>(x)]);
    }
    return out;
}

// Each pass rounds, so their order shows. Since Pillow 13 rows go first where the height shrinks by
// more than twice what the width does (python-pillow/Pillow#9549); before, columns always did.
bool rows_first(const RgbImage& image, int64_t width, int64_t height) {
    return height < image.height && image.height - height > 2 * (image.width - width);
}

}  // namespace

RgbImage resize(const RgbImage& image, int64_t width, int64_t height, Filter filter) {
    if (height == image.height && width == image.width) return image;
    const Taps across(image.width, width, filter), down(image.height, height, filter);
    if (height == image.height) return resize_columns(image, across, 0, height);
    if (width == image.width) return resize_rows(image, down, height, 0);
    if (rows_first(image, width, height)) {
        return resize_columns(resize_rows(image, down, height, 0), across, 0, height);
    }
    // Only the rows that the second pass reads.
    const int64_t first_row = down.first.front();
    const int64_t n_rows = down.first.back() + down.count.back() - first_row;
    return resize_rows(resize_columns(image, across, first_row, n_rows), down, height, first_row);
}

}  // namespace crispvl
