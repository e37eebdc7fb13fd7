#include "layout/grey.h"

#include <cmath>

namespace crispvl::layout {
namespace {

constexpr int64_t k_working_px = 5000000;  // A4 at 200 dpi has 3.9 million px
constexpr int k_rows_between_looks = 256;

// Rec. 601 luma of one pixel in 1/256, on white where the pixel is transparent.
uint32_t luma(const uint8_t* p, PixelFormat format) {
    switch (format) {
        case PixelFormat::grey:
            return p[0] * 256u;
        case PixelFormat::rgb:
            return p[0] * 77u + p[1] * 150u + p[2] * 29u;
        case PixelFormat::bgr:
            return p[2] * 77u + p[1] * 150u + p[0] * 29u;
        default:
            break;
    }
    const uint32_t red = format == PixelFormat::rgba ? p[0] : p[2];
    const uint32_t blue = format == PixelFormat::rgba ? p[2] : p[0];
    return ((red * 77u + p[1] * 150u + blue * 29u) * p[3] + 255u * 256u * (255u - p[3])) / 255u;
}

template <PixelFormat format>
void add_row(const uint8_t* from, size_t n_out, int factor, size_t step, uint32_t* sums) {
    for (size_t x = 0; x < n_out; ++x) {
        uint32_t sum = 0;
        for (int i = 0; i < factor; ++i, from += step) sum += luma(from, format) >> 4;
        sums[x] += sum;
    }
}

void add_row(const PixelView& page, int64_t y, size_t n_out, int factor, uint32_t* sums) {
    const uint8_t* from = page.data + static_cast<size_t>(y) * page.stride_bytes;
    switch (page.format) {
        case PixelFormat::grey:
            return add_row<PixelFormat::grey>(from, n_out, factor, 1, sums);
        case PixelFormat::rgb:
            return add_row<PixelFormat::rgb>(from, n_out, factor, 3, sums);
        case PixelFormat::bgr:
            return add_row<PixelFormat::bgr>(from, n_out, factor, 3, sums);
        case PixelFormat::rgba:
            return add_row<PixelFormat::rgba>(from, n_out, factor, 4, sums);
        case PixelFormat::bgra:
            return add_row<PixelFormat::bgra>(from, n_out, factor, 4, sums);
    }
}

}  // namespace

int working_factor(int64_t width, int64_t height) {
    int64_t factor = 1;
    while ((width / factor) * (height / factor) > k_working_px) ++factor;
    return static_cast<int>(std::min({factor, width, height}));
}

GreyImage shrink_to_grey(const PixelView& page, int factor, Interrupt* interrupt) {
    GreyImage out(static_cast<int>(page.width / factor), static_cast<int>(page.height / factor));
    const size_t n_out = static_cast<size_t>(out.width);
    std::vector<uint32_t> sums(n_out);
    const uint64_t n_px = static_cast<uint64_t>(factor) * static_cast<uint64_t>(factor);
    for (int y = 0; y < out.height; ++y) {
        if (y % k_rows_between_looks == 0) throw_if_requested(interrupt);
        std::fill(sums.begin(), sums.end(), 0u);
        for (int i = 0; i < factor; ++i) {
            add_row(page, static_cast<int64_t>(y) * factor + i, n_out, factor, sums.data());
        }
        uint8_t* to = out.row(y);
        for (size_t x = 0; x < n_out; ++x) to[x] = static_cast<uint8_t>(sums[x] / (n_px * 16));
    }
    return out;
}

GreyImage turn(const GreyImage& image, double radians, Frame& to_source) {
    const double a = std::cos(radians), b = std::sin(radians);
    const double width = image.width, height = image.height;
    GreyImage out(static_cast<int>(std::lround(std::fabs(a) * width + std::fabs(b) * height)),
                  static_cast<int>(std::lround(std::fabs(b) * width + std::fabs(a) * height)));
    Frame frame{static_cast<float>(a), static_cast<float>(b), 0, 0};
    const Point middle =
        frame({0.5f * static_cast<float>(out.width), 0.5f * static_cast<float>(out.height)});
    frame.dx = 0.5f * static_cast<float>(image.width) - middle.x;
    frame.dy = 0.5f * static_cast<float>(image.height) - middle.y;
    to_source = frame;

    // 16 bits of fraction; a source of 2^15 px a side at most.
    const auto fixed = [](double v) { return static_cast<int64_t>(std::llround(v * 65536)); };
    const int64_t step_x = fixed(a), step_y = fixed(b);
    const int64_t x_most = (static_cast<int64_t>(image.width) - 1) << 16;
    const int64_t y_most = (static_cast<int64_t>(image.height) - 1) << 16;
    for (int v = 0; v < out.height; ++v) {
        const Point start = frame({0.5f, static_cast<float>(v) + 0.5f});
        int64_t x = fixed(start.x - 0.5), y = fixed(start.y - 0.5);
        uint8_t* to = out.row(v);
        for (int u = 0; u < out.width; ++u, x += step_x, y += step_y) {
            const int64_t cx = std::clamp<int64_t>(x, 0, x_most),
                          cy = std::clamp<int64_t>(y, 0, y_most);
            const int x0 = static_cast<int>(cx >> 16), y0 = static_cast<int>(cy >> 16);
            const int64_t fx = (cx >> 8) & 255, fy = (cy >> 8) & 255;
            const uint8_t* upper = image.row(y0) + x0;
            const uint8_t* lower = y0 + 1 < image.height ? upper + image.width : upper;
            const int next = x0 + 1 < image.width ? 1 : 0;
            const int64_t above = upper[0] * (256 - fx) + upper[next] * fx;
            const int64_t below = lower[0] * (256 - fx) + lower[next] * fx;
            to[u] = static_cast<uint8_t>((above * (256 - fy) + below * fy + 32768) >> 16);
        }
    }
    return out;
}

}  // namespace crispvl::layout
