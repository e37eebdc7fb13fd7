#include "image/sample_range.h"

#include <algorithm>
#include <vector>

namespace crispvl {
namespace {

constexpr size_t kPixelsPerHot = 10'000;  // at least; a smaller picture has no hot ones
constexpr int kMostTogether = 2;          // hot pixels that touch

class Colours {
public:
    Colours(const uint16_t* samples, size_t width, size_t height)
        : samples_(samples), width_(width), height_(height) {}

    // The greatest value up to a limit.
    uint32_t greatest(uint32_t limit) const {
        uint32_t found = 0;
        for (size_t i = 0; i < width_ * height_; ++i) {
            if (const uint32_t value = at(i); value <= limit) found = std::max(found, value);
        }
        return found;
    }
    // Whether the pixels beyond a limit are few and stand alone.
    bool are_hot_beyond(uint32_t limit) const {
        std::vector<size_t> beyond;
        for (size_t i = 0; i < width_ * height_; ++i) {
            if (at(i) <= limit) continue;
            if (beyond.size() == width_ * height_ / kPixelsPerHot) return false;
            beyond.push_back(i);
        }
        return std::all_of(beyond.begin(), beyond.end(),
                           [&](size_t i) { return n_around(i, limit) <= kMostTogether; });
    }

private:
    uint32_t at(size_t i) const {
        const uint16_t* rgba = samples_ + 4 * i;
        return std::max({rgba[0], rgba[1], rgba[2]});
    }
    // A pixel and its neighbours that are beyond a limit.
    int n_around(size_t i, uint32_t limit) const {
        const size_t x = i % width_, y = i / width_;
        int n = 0;
        for (size_t row = y - (y > 0); row < std::min(y + 2, height_); ++row) {
            for (size_t column = x - (x > 0); column < std::min(x + 2, width_); ++column) {
                n += at(row * width_ + column) > limit;
            }
        }
        return n;
    }

    const uint16_t* samples_;
    size_t width_, height_;
};

uint32_t white_for(int bits) {
    return (1u << bits) - 1;
}

}  // namespace

uint32_t white_of(const uint16_t* samples, size_t width, size_t height) {
    const Colours colours(samples, width, height);
    uint32_t greatest = colours.greatest(white_for(16));
    for (const int bits : {14, 12, 10, 8}) {
        if (greatest <= white_for(bits)) continue;
        if (!colours.are_hot_beyond(white_for(bits))) break;
        greatest = colours.greatest(white_for(bits));
    }
    uint32_t white = white_for(1);
    for (const int bits : {4, 8, 10, 12, 14, 16}) {
        if (greatest > white) white = white_for(bits);
    }
    return white;
}

}  // namespace crispvl
