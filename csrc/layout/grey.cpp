#include "layout/grey.h"

#include <cmath>

namespace crispvl::layout {
namespace {

constexpr double kWorkingPx = 5e6;    // A4 at 200 dpi has 3.9 million px
constexpr double kMostPx = 6.5e6;     // up to which a page is not shrunk, and so not blurred
constexpr double kMostFinePx = 30e6;  // of a page with small print
constexpr int kSmallPrint = 9;        // px; lower letters are too small
constexpr int kLeastPrint = 4;        // px; what is lower still is rather noise
constexpr double kWantedPrint = 14;   // px
constexpr int kRowsBetweenLooks = 256;

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

// How a row or column of source px falls into those of the result: [first, next), and the share of
// the px in the first, in 1/256; the rest is in the one after it.
struct Share {
    uint32_t first, weight;
};

std::vector<Share> shares_of(int64_t n_source, int n_result, double factor) {
    std::vector<Share> shares;
    for (int64_t i = 0; i < n_source; ++i) {
        const double from = static_cast<double>(i) / factor,
                     to = static_cast<double>(i + 1) / factor;
        const auto first = static_cast<uint32_t>(from);
        if (first >= static_cast<uint32_t>(n_result)) break;
        const double within = std::min(to, first + 1.0) - from;
        shares.push_back({first, static_cast<uint32_t>(std::lround(256 * within * factor))});
    }
    return shares;
}

// Adds a row's luma, in 1/16, to the sums of the columns of the result, plus one.
template <PixelFormat format>
void add_row(const uint8_t* from, const std::vector<Share>& columns, size_t step, uint32_t* sums) {
    for (const Share& share : columns) {
        const uint32_t value = luma(from, format) >> 4;
        const uint32_t part = value * share.weight >> 8;
        sums[share.first] += part;
        sums[share.first + 1] += value - part;
        from += step;
    }
}

void add_row(const PixelView& page, int64_t y, const std::vector<Share>& columns, uint32_t* sums) {
    const uint8_t* from = page.data + static_cast<size_t>(y) * page.stride_bytes;
    switch (page.format) {
        case PixelFormat::grey:
            return add_row<PixelFormat::grey>(from, columns, 1, sums);
        case PixelFormat::rgb:
            return add_row<PixelFormat::rgb>(from, columns, 3, sums);
        case PixelFormat::bgr:
            return add_row<PixelFormat::bgr>(from, columns, 3, sums);
        case PixelFormat::rgba:
            return add_row<PixelFormat::rgba>(from, columns, 4, sums);
        case PixelFormat::bgra:
            return add_row<PixelFormat::bgra>(from, columns, 4, sums);
    }
}

}  // namespace

double working_factor(int64_t width, int64_t height) {
    const double n_px = static_cast<double>(width) * static_cast<double>(height);
    if (n_px <= kMostPx) return 1;
    const double factor = std::sqrt(n_px / kWorkingPx);
    return std::min({factor, static_cast<double>(width), static_cast<double>(height)});
}

double finer_factor(int64_t width, int64_t height, double factor, int text_height) {
    if (factor <= 1 || text_height < kLeastPrint || text_height >= kSmallPrint) return factor;
    const double n_px = static_cast<double>(width) * static_cast<double>(height);
    const double wanted = factor * text_height / kWantedPrint;
    return std::min(factor, std::max({1.0, wanted, std::sqrt(n_px / kMostFinePx)}));
}

GreyImage shrink_to_grey(const PixelView& page, double factor, Interrupt* interrupt) {
    const auto size_of = [&](int64_t n) {
        return std::max(1, static_cast<int>(static_cast<double>(n) / factor + 1e-6));
    };
    GreyImage out(size_of(page.width), size_of(page.height));
    const size_t n_out = static_cast<size_t>(out.width);
    if (factor == 1 && page.format == PixelFormat::grey) {
        for (int y = 0; y < out.height; ++y) {
            std::copy_n(page.data + static_cast<size_t>(y) * page.stride_bytes, n_out, out.row(y));
        }
        return out;
    }
    const std::vector<Share> columns = shares_of(page.width, out.width, factor);
    const std::vector<Share> rows = shares_of(page.height, out.height, factor);
    std::vector<uint32_t> one(n_out + 1), sums(n_out + 1), rest(n_out + 1);
    const double n_px = factor * factor * 16;
    for (size_t y = 0; y < rows.size(); ++y) {
        if (y % kRowsBetweenLooks == 0) throw_if_requested(interrupt);
        std::fill(one.begin(), one.end(), 0u);
        add_row(page, static_cast<int64_t>(y), columns, one.data());
        for (size_t x = 0; x < n_out; ++x) {
            const uint32_t part = one[x] * rows[y].weight >> 8;
            sums[x] += part;
            rest[x] += one[x] - part;
        }
        if (y + 1 < rows.size() && rows[y + 1].first == rows[y].first) continue;
        uint8_t* to = out.row(static_cast<int>(rows[y].first));
        for (size_t x = 0; x < n_out; ++x) {
            to[x] = static_cast<uint8_t>(std::min(255.0, static_cast<double>(sums[x]) / n_px));
        }
        sums.swap(rest);
        std::fill(rest.begin(), rest.end(), 0u);
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
