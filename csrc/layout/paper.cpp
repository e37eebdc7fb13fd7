#include "layout/paper.h"

#include <cstdlib>
#include <cstring>

namespace crispvl::layout {
namespace {

constexpr int kBins = 64;                // of grey levels, four to a bin
constexpr int kReachTiles = 4;           // the paper's neighbourhood: 144 px wide
constexpr int kSamePaper = 24;           // grey levels within which two tiles have one paper
constexpr int kOtherPaper = 56;          // and beyond which they have not
constexpr float kContrastShare = 0.42f;  // of the ink's contrast nearby
constexpr float kNoiseShare = 4.5f;      // standard deviations of the paper's noise
constexpr int kLeastContrast = 16;

using Histogram = std::array<uint32_t, kBins>;

std::vector<Histogram> tile_histograms(const GreyImage& image, int columns, int rows) {
    std::vector<Histogram> all(static_cast<size_t>(columns) * static_cast<size_t>(rows),
                               Histogram{});
    for (int y = 0; y < image.height; ++y) {
        const uint8_t* from = image.row(y);
        Histogram* tiles =
            all.data() + static_cast<size_t>(y / Paper::kTilePx) * static_cast<size_t>(columns);
        for (int x = 0; x < image.width; ++x) ++tiles[x / Paper::kTilePx][from[x] >> 2];
    }
    return all;
}

// The grey level that is most frequent, smoothed over its neighbours.
uint8_t mode(const Histogram& counts) {
    const auto at = [&](int i) {
        return i < 0 || i >= kBins ? 0u : counts[static_cast<size_t>(i)];
    };
    int best = 0;
    uint32_t most = 0;
    for (int i = 0; i < kBins; ++i) {
        const uint32_t sum = at(i - 2) + 2 * at(i - 1) + 3 * at(i) + 2 * at(i + 1) + at(i + 2);
        if (sum > most) most = sum, best = i;
    }
    uint64_t n = 0, weighted = 0;
    for (int i = best - 2; i <= best + 2; ++i) {
        n += at(i);
        weighted += at(i) * static_cast<uint64_t>(4 * i + 2);
    }
    // A bin of white paper holds 252 to 255.
    return static_cast<uint8_t>(n == 0 ? 255 : best == kBins - 1 ? 254 : weighted / n);
}

void add(Histogram& sum, const Histogram& part, int sign) {
    for (size_t i = 0; i < sum.size(); ++i) {
        sum[i] = sign > 0 ? sum[i] + part[i] : sum[i] - part[i];
    }
}

// For each tile the mode of the square of tiles around it.
std::vector<uint8_t> neighbourhood_modes(const std::vector<Histogram>& tiles, int columns,
                                         int rows) {
    std::vector<uint8_t> modes(tiles.size());
    std::vector<Histogram> bands(static_cast<size_t>(columns), Histogram{});  // sums of rows
    const auto tile = [&](int x, int y) -> const Histogram& {
        return tiles[static_cast<size_t>(y) * static_cast<size_t>(columns) +
                     static_cast<size_t>(x)];
    };
    const auto add_row = [&](int y, int sign) {
        if (y < 0 || y >= rows) return;
        for (int x = 0; x < columns; ++x) add(bands[static_cast<size_t>(x)], tile(x, y), sign);
    };
    for (int y = 0; y < kReachTiles; ++y) add_row(y, 1);
    for (int y = 0; y < rows; ++y) {
        add_row(y + kReachTiles, 1);
        add_row(y - kReachTiles - 1, -1);
        Histogram sum{};
        for (int x = 0; x < std::min(kReachTiles, columns); ++x)
            add(sum, bands[static_cast<size_t>(x)], 1);
        for (int x = 0; x < columns; ++x) {
            if (x + kReachTiles < columns) add(sum, bands[static_cast<size_t>(x + kReachTiles)], 1);
            if (x > kReachTiles) add(sum, bands[static_cast<size_t>(x - kReachTiles - 1)], -1);
            modes[static_cast<size_t>(y) * static_cast<size_t>(columns) + static_cast<size_t>(x)] =
                mode(sum);
        }
    }
    return modes;
}

// Calls visit(i_neighbour) for the neighbours of a tile, itself among them.
template <typename Visit>
void each_neighbour(int x, int y, int columns, int rows, Visit&& visit) {
    for (int v = std::max(0, y - 1); v <= std::min(rows - 1, y + 1); ++v) {
        for (int u = std::max(0, x - 1); u <= std::min(columns - 1, x + 1); ++u) {
            visit(static_cast<size_t>(v) * static_cast<size_t>(columns) + static_cast<size_t>(u));
        }
    }
}

// An inverse area whose neighbourhood is mostly light at its rim is grown to that rim: a tile that
// is itself of the grey of a neighbour's paper has that paper.
void grow_papers(const std::vector<Histogram>& tiles, int columns, int rows,
                 std::vector<uint8_t>& level) {
    std::vector<uint8_t> own(tiles.size());
    for (size_t i = 0; i < tiles.size(); ++i) own[i] = mode(tiles[i]);
    std::vector<size_t> open;
    for (size_t i = 0; i < tiles.size(); ++i) open.push_back(i);
    while (!open.empty()) {
        const size_t i = open.back();
        open.pop_back();
        const int x = static_cast<int>(i) % columns, y = static_cast<int>(i) / columns;
        each_neighbour(x, y, columns, rows, [&](size_t j) {
            const bool differs = std::abs(level[j] - level[i]) > kOtherPaper;
            const bool fits = std::abs(own[j] - level[i]) < kSamePaper &&
                              std::abs(own[j] - level[j]) > kOtherPaper;
            if (!differs || !fits) return;
            level[j] = level[i];
            open.push_back(j);
        });
    }
}

std::vector<uint8_t> smoothed(const std::vector<uint8_t>& level, int columns, int rows) {
    std::vector<uint8_t> out(level.size());
    for (int y = 0; y < rows; ++y) {
        for (int x = 0; x < columns; ++x) {
            const size_t i =
                static_cast<size_t>(y) * static_cast<size_t>(columns) + static_cast<size_t>(x);
            int sum = 0, n = 0;
            each_neighbour(x, y, columns, rows, [&](size_t j) {
                if (std::abs(level[j] - level[i]) <= kSamePaper) sum += level[j], ++n;
            });
            out[i] = static_cast<uint8_t>(sum / n);
        }
    }
    return out;
}

// Standard deviation of the paper's noise in grey levels, from differences of neighbours.
float noise_of(const GreyImage& image) {
    std::array<uint32_t, 256> counts{};
    uint32_t n = 0;
    for (int y = 0; y < image.height; y += 4) {
        const uint8_t* row = image.row(y);
        for (int x = 1; x < image.width; ++x, ++n)
            ++counts[static_cast<size_t>(std::abs(row[x] - row[x - 1]))];
    }
    uint32_t below = 0;
    for (size_t i = 0; i < counts.size(); ++i) {
        if (2 * (below + counts[i]) > n) {
            const float part = (0.5f * static_cast<float>(n) - static_cast<float>(below)) /
                               static_cast<float>(counts[i]);
            return i == 0 ? 0 : (static_cast<float>(i) - 0.5f + part) / 0.954f;
        }
        below += counts[i];
    }
    return 0;
}

// How far the tile's darkest (or lightest) pixels, a fiftieth of it, differ from its paper.
int extreme_contrast(const Histogram& tile, int level, bool dark) {
    uint32_t n = 0;
    for (const uint32_t count : tile) n += count;
    uint32_t seen = 0;
    for (int i = 0; i < kBins; ++i) {
        const int bin = dark ? i : kBins - 1 - i;
        seen += tile[static_cast<size_t>(bin)];
        if (50 * seen > n) return std::max(0, dark ? level - (4 * bin + 2) : 4 * bin + 2 - level);
    }
    return 0;
}

std::vector<uint8_t> contrasts(const std::vector<Histogram>& tiles, const Paper& paper, int least,
                               bool dark) {
    std::vector<uint8_t> strength(tiles.size()), out(tiles.size());
    for (size_t i = 0; i < tiles.size(); ++i) {
        strength[i] =
            static_cast<uint8_t>(std::min(255, extreme_contrast(tiles[i], paper.level[i], dark)));
    }
    for (int y = 0; y < paper.rows; ++y) {
        for (int x = 0; x < paper.columns; ++x) {
            uint8_t most = 0;
            each_neighbour(x, y, paper.columns, paper.rows,
                           [&](size_t j) { most = std::max(most, strength[j]); });
            const size_t i = static_cast<size_t>(y) * static_cast<size_t>(paper.columns) +
                             static_cast<size_t>(x);
            // Between the tile's own ink and the strongest beside it: faint print near bold print.
            const float ink =
                0.5f * static_cast<float>(most + std::max<int>(strength[i], most / 3));
            out[i] = static_cast<uint8_t>(
                std::clamp(kContrastShare * ink, static_cast<float>(least), 250.0f));
        }
    }
    return out;
}

}  // namespace

Paper find_paper(const GreyImage& image) {
    Paper paper;
    paper.columns = (image.width + Paper::kTilePx - 1) / Paper::kTilePx;
    paper.rows = (image.height + Paper::kTilePx - 1) / Paper::kTilePx;
    const std::vector<Histogram> tiles = tile_histograms(image, paper.columns, paper.rows);
    paper.level = neighbourhood_modes(tiles, paper.columns, paper.rows);
    grow_papers(tiles, paper.columns, paper.rows, paper.level);
    paper.level = smoothed(paper.level, paper.columns, paper.rows);
    const int least =
        std::max(kLeastContrast, std::min(80, static_cast<int>(kNoiseShare * noise_of(image))));
    paper.least_contrast = least;
    paper.dark_contrast = contrasts(tiles, paper, least, true);
    paper.light_contrast = contrasts(tiles, paper, least, false);
    return paper;
}

}  // namespace crispvl::layout
