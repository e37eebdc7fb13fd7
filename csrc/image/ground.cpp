#include "image/ground.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>
#include <vector>

namespace crispvl {
namespace {

constexpr std::array<int, 3> kGrounds{255, 0, 128};  // in the order in which they are taken
constexpr int kLegible = 64;      // grey levels by which letters must differ from their ground
constexpr int kOtherColour = 24;  // levels of a channel
constexpr int kDrawnAlpha = 16;   // below, nothing can be seen on any ground
constexpr uint64_t kLeastPx = 8;
constexpr double kMostOf = 0.8;      // what shows that much of what the best shows is good enough
constexpr double kThinSide = 0.15;   // of the shorter side: no letter's stroke is wider
constexpr double kThinShare = 0.01;  // of what is drawn: less are corners of a card

// How many pixels are legible on each ground.
struct Shown {
    std::array<uint64_t, kGrounds.size()> n{};
    uint64_t n_drawn = 0;

    void add(int luma, int alpha) {
        ++n_drawn;
        for (size_t i = 0; i < kGrounds.size(); ++i) {
            n[i] += alpha * std::abs(luma - kGrounds[i]) >= 255 * kLegible;
        }
    }

    // The first ground that shows most of what any shows; nothing where none shows a thing.
    std::optional<uint8_t> best() const {
        const uint64_t most = *std::max_element(n.begin(), n.end());
        if (most < kLeastPx) return std::nullopt;
        for (size_t i = 0;; ++i) {
            if (static_cast<double>(n[i]) >= kMostOf * static_cast<double>(most))
                return static_cast<uint8_t>(kGrounds[i]);
        }
    }
};

class Layer {
public:
    explicit Layer(const PixelView& view)
        : view_(view), red_(view.format == PixelFormat::bgra ? 2 : 0) {}

    const uint8_t* pixel(int64_t x, int64_t y) const {
        return view_.data + static_cast<size_t>(y) * view_.stride_bytes +
               static_cast<size_t>(x) * 4;
    }
    int alpha(int64_t x, int64_t y) const { return pixel(x, y)[3]; }
    bool is_drawn(int64_t x, int64_t y) const { return alpha(x, y) > kDrawnAlpha; }
    int luma(int64_t x, int64_t y) const {
        const uint8_t* p = pixel(x, y);
        return (299 * p[red_] + 587 * p[1] + 114 * p[2 - red_] + 500) / 1000;
    }

    bool is_opaque() const {
        return n_with([&](int64_t x, int64_t y) { return alpha(x, y) != 255; }, 1) == 0;
    }
    // Whether there are letters, or whatever else has another colour, beneath the alpha.
    bool has_colours() const {
        const uint8_t* first = pixel(0, 0);
        const auto differs = [&](int64_t x, int64_t y) {
            const uint8_t* other = pixel(x, y);
            int most = 0;
            for (size_t i = 0; i < 3; ++i) most = std::max(most, std::abs(first[i] - other[i]));
            return most >= kOtherColour;
        };
        return n_with(differs, kLeastPx) == kLeastPx;
    }

    // Marks what is drawn, but for areas so wide that they are a ground of their own.
    std::vector<uint8_t> thin() const {
        const double shorter = static_cast<double>(std::min(view_.width, view_.height));
        const int64_t limit = std::max<int64_t>(3, static_cast<int64_t>(kThinSide * shorter));
        std::vector<uint8_t> marks(static_cast<size_t>(view_.width) *
                                   static_cast<size_t>(view_.height));
        mark_runs(
            view_.width, view_.height, limit,
            [&](int64_t along, int64_t across) { return std::pair(along, across); }, marks);
        mark_runs(
            view_.height, view_.width, limit,
            [&](int64_t along, int64_t across) { return std::pair(across, along); }, marks);
        return marks;
    }

private:
    // How many pixels a condition holds for, counted up to `most`.
    template <typename Holds>
    uint64_t n_with(Holds&& holds, uint64_t most) const {
        uint64_t n = 0;
        for (int64_t y = 0; y < view_.height; ++y) {
            for (int64_t x = 0; x < view_.width; ++x) {
                if (holds(x, y) && ++n == most) return n;
            }
        }
        return n;
    }

    // Marks the runs of drawn pixels of at most `limit`, along rows or columns; `place` turns a
    // position along and across them into x and y.
    template <typename Place>
    void mark_runs(int64_t n_along, int64_t n_across, int64_t limit, Place&& place,
                   std::vector<uint8_t>& marks) const {
        for (int64_t across = 0; across < n_across; ++across) {
            int64_t begin = 0;  // of the run
            for (int64_t along = 0; along <= n_along; ++along) {
                if (along < n_along) {
                    const auto [x, y] = place(along, across);
                    if (is_drawn(x, y)) continue;
                }
                for (int64_t i = begin; i < along && along - begin <= limit; ++i) {
                    const auto [x, y] = place(i, across);
                    marks[static_cast<size_t>(y * view_.width + x)] = 1;
                }
                begin = along + 1;
            }
        }
    }

    const PixelView& view_;
    const size_t red_;
};

}  // namespace

std::optional<uint8_t> ground_of(const PixelView& view) {
    const Layer layer(view);
    if (layer.is_opaque()) return 255;
    const std::vector<uint8_t> thin = layer.thin();
    Shown in_letters, in_all;
    for (int64_t y = 0; y < view.height; ++y) {
        for (int64_t x = 0; x < view.width; ++x) {
            if (!layer.is_drawn(x, y)) continue;
            const int luma = layer.luma(x, y), alpha = layer.alpha(x, y);
            in_all.add(luma, alpha);
            if (thin[static_cast<size_t>(y * view.width + x)] != 0) in_letters.add(luma, alpha);
        }
    }
    if (in_all.n_drawn < kLeastPx) {
        return layer.has_colours() ? std::nullopt : std::optional<uint8_t>(255);
    }
    const bool has_letters =
        static_cast<double>(in_letters.n_drawn) >= kThinShare * static_cast<double>(in_all.n_drawn);
    std::optional<uint8_t> level = has_letters ? in_letters.best() : std::nullopt;
    if (!level && in_all.n[0] < kLeastPx) level = in_all.best();
    return level.value_or(255);
}

}  // namespace crispvl
