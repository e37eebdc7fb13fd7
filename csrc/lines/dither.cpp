#include "lines/dither.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace crispvl::lines {
namespace {

using layout::GreyImage;

constexpr int kBlockPx = 8;      // side of the squares in which ink is counted
constexpr int kReach = 3;        // blocks to each side of one that are looked at with it
constexpr int kFewestDots = 12;  // in all of them; specks of dust are fewer
// Share of the ink in them that must be dots: letters printed among them keep their edges.
constexpr double kMostly = 0.5;
// Share of them that must be without ink, as between letters; a dithered ground leaves none.
constexpr double kFree = 0.25;
constexpr double kTwoLevels = 0.98;  // of the pixels, on a page of black and white

// The commonest level of a page of black and white; -1 of another.
int paper_of(const GreyImage& grey) {
    std::array<int64_t, 256> counts{};
    for (const uint8_t level : grey.pixels) ++counts[level];
    const auto paper = std::max_element(counts.begin(), counts.end());
    const auto level = static_cast<int>(paper - counts.begin());
    const int64_t n_paper = *paper;
    *paper = 0;
    const int64_t n_two = n_paper + *std::max_element(counts.begin(), counts.end());
    const auto n_all = static_cast<double>(grey.pixels.size());
    return static_cast<double>(n_two) < kTwoLevels * n_all ? -1 : level;
}

// Numbers of the blocks of a page.
struct Blocks {
    int width, height;
    std::vector<int> counts;

    explicit Blocks(const GreyImage& page)
        : width((page.width + kBlockPx - 1) / kBlockPx),
          height((page.height + kBlockPx - 1) / kBlockPx),
          counts(static_cast<size_t>(width) * static_cast<size_t>(height)) {}
    int& at(int x, int y) {
        return counts[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
    }
    int at(int x, int y) const {
        return counts[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
    }
};

// The sum over each block and those within reach.
Blocks around(const Blocks& blocks) {
    Blocks rows = blocks, sums = blocks;
    const auto sum = [](const Blocks& from, int x, int y, int dx, int dy) {
        int total = 0;
        for (int i = -kReach; i <= kReach; ++i) {
            const int u = x + i * dx, v = y + i * dy;
            if (u >= 0 && u < from.width && v >= 0 && v < from.height) total += from.at(u, v);
        }
        return total;
    };
    for (int y = 0; y < blocks.height; ++y) {
        for (int x = 0; x < blocks.width; ++x) rows.at(x, y) = sum(blocks, x, y, 1, 0);
    }
    for (int y = 0; y < blocks.height; ++y) {
        for (int x = 0; x < blocks.width; ++x) sums.at(x, y) = sum(rows, x, y, 0, 1);
    }
    return sums;
}

// A row of a page: 1 where there is ink, with a free px at each end.
using InkRow = std::vector<uint8_t>;

void mark_ink(const GreyImage& grey, int paper, int y, InkRow& row) {
    if (y >= grey.height) return std::fill(row.begin(), row.end(), uint8_t{0});
    const uint8_t* from = grey.row(y);
    for (size_t x = 0; x + 2 < row.size(); ++x) row[x + 1] = from[x] != paper;
}

// How much of a page's ink is in each block, and how much of it is dots: ink without neighbours.
struct InkCounts {
    Blocks ink, dots;
};

InkCounts count_ink(const GreyImage& grey, int paper) {
    InkCounts counts{Blocks(grey), Blocks(grey)};
    const auto width = static_cast<size_t>(grey.width);
    InkRow above(width + 2), here(width + 2), below(width + 2);
    std::vector<uint8_t> n_ink(width), n_dots(width);  // in a column of the blocks' height
    mark_ink(grey, paper, 0, below);
    for (int y = 0; y < grey.height; ++y) {
        above.swap(here);
        here.swap(below);
        mark_ink(grey, paper, y + 1, below);
        for (size_t x = 0; x < width; ++x) {
            const uint8_t ink = here[x + 1];
            const auto near =
                static_cast<uint8_t>(here[x] | here[x + 2] | above[x + 1] | below[x + 1]);
            n_ink[x] = static_cast<uint8_t>(n_ink[x] + ink);
            n_dots[x] = static_cast<uint8_t>(n_dots[x] + (ink & (near ^ 1u)));
        }
        if ((y + 1) % kBlockPx != 0 && y + 1 < grey.height) continue;
        for (int x = 0; x < grey.width; ++x) {
            const auto column = static_cast<size_t>(x);
            counts.ink.at(x / kBlockPx, y / kBlockPx) += std::exchange(n_ink[column], uint8_t{0});
            counts.dots.at(x / kBlockPx, y / kBlockPx) += std::exchange(n_dots[column], uint8_t{0});
        }
    }
    return counts;
}

// Whether each block is of dots.
std::vector<bool> dotted_blocks(const GreyImage& grey, int paper) {
    const InkCounts counts = count_ink(grey, paper);
    Blocks free(grey);
    for (size_t i = 0; i < free.counts.size(); ++i) free.counts[i] = counts.ink.counts[i] == 0;
    const Blocks n_dots = around(counts.dots), n_ink = around(counts.ink), n_free = around(free);
    constexpr int kSide = 2 * kReach + 1;
    std::vector<bool> found;
    for (size_t i = 0; i < free.counts.size(); ++i) {
        found.push_back(n_dots.counts[i] >= kFewestDots &&
                        n_dots.counts[i] > kMostly * n_ink.counts[i] &&
                        n_free.counts[i] >= kFree * kSide * kSide);
    }
    return found;
}

// Means of three neighbours along rows or columns, the edge repeated, rounded as Pillow's BoxBlur.
RgbImage blurred(const RgbImage& page, int64_t dx, int64_t dy) {
    RgbImage out(page.width, page.height);
    const auto at = [&](int64_t x, int64_t y) {
        x = std::clamp<int64_t>(x, 0, page.width - 1);
        y = std::clamp<int64_t>(y, 0, page.height - 1);
        return page.pixels.data() + 3 * (y * page.width + x);
    };
    uint8_t* to = out.pixels.data();
    for (int64_t y = 0; y < page.height; ++y) {
        for (int64_t x = 0; x < page.width; ++x) {
            const uint8_t *a = at(x - dx, y - dy), *b = at(x, y), *c = at(x + dx, y + dy);
            for (int i = 0; i < 3; ++i) {
                const auto sum = static_cast<uint32_t>(a[i] + b[i] + c[i]);
                *to++ = static_cast<uint8_t>((sum * 5592405u + (1u << 23)) >> 24);
            }
        }
    }
    return out;
}

}  // namespace

bool smooth_dots(RgbImage& page, const GreyImage& luma) {
    const int paper = paper_of(luma);
    if (paper < 0) return false;
    const std::vector<bool> blocks = dotted_blocks(luma, paper);
    if (std::find(blocks.begin(), blocks.end(), true) == blocks.end()) return false;
    const RgbImage smooth = blurred(blurred(page, 1, 0), 0, 1);
    const auto n_across = static_cast<size_t>((page.width + kBlockPx - 1) / kBlockPx);
    for (size_t y = 0; y < static_cast<size_t>(page.height); ++y) {
        for (size_t x = 0; x < static_cast<size_t>(page.width); ++x) {
            if (!blocks[y / kBlockPx * n_across + x / kBlockPx]) continue;
            const size_t i = 3 * (y * static_cast<size_t>(page.width) + x);
            std::copy_n(smooth.pixels.begin() + static_cast<std::ptrdiff_t>(i), 3,
                        page.pixels.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    return true;
}

}  // namespace crispvl::lines
