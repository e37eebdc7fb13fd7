#include "lines/strips.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "layout/strips.h"

namespace crispvl::lines {
namespace {

constexpr int64_t kMarginPx = 3;      // what cut_line adds to the left and to the right of a strip
constexpr double kLeastScale = 0.65;  // of a strip's height, for a word that is too wide
constexpr int64_t kLeastHeightPx = 8;
constexpr int64_t kCutHeightPx = 26;  // of the strip in which the place for a cut is looked for
// Of a strip's height, that a character takes at least on average over a row, however narrow.
constexpr double kMinAdvance = 0.12;
constexpr double kCutRoom = 0.8;  // of the widest strip, that parts of a word fill on average

using Words = std::vector<Span>;

// Words from the left in groups, each as long as it is no wider than the limit.
std::vector<Words> fill(const Words& words, double limit) {
    std::vector<Words> groups;
    for (const Span& word : words) {
        if (!groups.empty() && word.to - groups.back().front().from <= limit) {
            groups.back().push_back(word);
        } else {
            groups.push_back({word});
        }
    }
    return groups;
}

// The fewest groups no wider than the limit, the widest as narrow as can be. A word that is wider
// than the limit has a group of its own.
std::vector<Words> grouped(const Words& words, double limit) {
    const size_t n_groups = fill(words, limit).size();
    double low = 0, high = limit;
    for (int i = 0; i < 12; ++i) {
        const double middle = (low + high) / 2;
        (fill(words, middle).size() <= n_groups ? high : low) = middle;
    }
    return fill(words, high);
}

// The ink in each column of a strip.
std::vector<int64_t> column_ink(const crispvl::Strip& strip) {
    std::vector<int64_t> ink(static_cast<size_t>(strip.width));
    for (size_t i = 0; i < strip.grey.size(); ++i) ink[i % ink.size()] += 255 - strip.grey[i];
    return ink;
}

// Where a word too wide for a tile is cut: where it has the least ink, if possible between two
// letters. Both its ends are among the edges.
std::vector<double> cuts(const PixelView& page, const LayoutLine& line, Span word, double limit) {
    const double length = word.to - word.from;
    const auto n_parts = static_cast<int64_t>(std::ceil(length / (kCutRoom * limit)));
    const std::vector<int64_t> ink = column_ink(cut_line(
        page, line,
        {kCutHeightPx, static_cast<float>(word.from), static_cast<float>(word.to), /*stretch=*/1}));
    const double per_px = band_px(line) / static_cast<double>(kCutHeightPx);
    const auto reach =
        static_cast<std::ptrdiff_t>(std::nearbyint((1 - kCutRoom) / 2 * limit / per_px));
    const auto n_columns = static_cast<std::ptrdiff_t>(ink.size());
    std::vector<double> edges = {word.from};
    for (int64_t i = 1; i < n_parts; ++i) {
        const double share = length * static_cast<double>(i) / static_cast<double>(n_parts);
        const auto middle = static_cast<std::ptrdiff_t>(std::nearbyint(share / per_px)) + kMarginPx;
        const auto first = std::clamp<std::ptrdiff_t>(middle - reach, 0, n_columns - 1);
        const auto end = std::clamp<std::ptrdiff_t>(middle + reach + 1, first + 1, n_columns);
        const auto best = std::min_element(ink.begin() + first, ink.begin() + end) - ink.begin();
        edges.push_back(word.from + (static_cast<double>(best - kMarginPx) + 0.5) * per_px);
    }
    edges.push_back(word.to);
    return edges;
}

int64_t height_px(const Strip& strip, const StripFormat& form, const Drawing& drawing) {
    const double wanted = static_cast<double>(form.height_px) * strip.scale * drawing.scale;
    return std::max(std::min(kLeastHeightPx, form.pitch_px), static_cast<int64_t>(wanted));
}

// How a strip is cut out of its line.
StripOptions cutting(const LayoutLine& line, const Strip& strip, const StripFormat& form,
                     const Drawing& drawing) {
    const int64_t height = height_px(strip, form, drawing);
    const double width = strip.width() * static_cast<double>(height) / band_px(line);
    const double room = static_cast<double>(form.width_px() - 2 * kMarginPx) / width;
    const double stretch = std::max(1.0, std::min(drawing.stretch, room));
    return {height, static_cast<float>(strip.x_from), static_cast<float>(strip.x_to),
            static_cast<float>(stretch)};
}

// Copies what a line's cut shows to a tile, from px `left` on; returns how wide that is.
int64_t paste(const crispvl::Strip& cut, const StripFormat& form, int64_t i_row, int64_t left,
              std::vector<uint8_t>& pixels) {
    const int64_t width = std::min(cut.width, form.tile_px - left);
    const int64_t top = form.top_px(i_row, cut.height);
    for (int64_t y = 0; y < cut.height; ++y) {
        uint8_t* to = pixels.data() + ((top + y) * form.tile_px + left) * 3;
        for (int64_t x = 0; x < width; ++x) {
            std::fill_n(to + 3 * x, 3, cut.grey[static_cast<size_t>(y * cut.width + x)]);
        }
    }
    return width;
}

}  // namespace

int64_t StripTile::most_tokens() const {
    const double sum = std::accumulate(aspects.begin(), aspects.end(), 0.0);
    return static_cast<int64_t>(std::nearbyint(sum / kMinAdvance)) +
           2 * static_cast<int64_t>(aspects.size());
}

double band_px(const LayoutLine& line) {
    return static_cast<double>(line.band_above + line.band_below);
}

std::vector<Strip> cut_into_strips(const PixelView& page, int i_line, const LayoutLine& line,
                                   const StripFormat& form, double scale) {
    Words words;
    for (const LayoutWord& word : line.words) words.push_back({word.from, word.to});
    const double limit = static_cast<double>(form.width_px() - 2 * kMarginPx) * band_px(line) /
                         static_cast<double>(form.height_px);
    std::vector<Strip> strips;
    int i_word = 0;
    for (const Words& group : grouped(words, limit / scale)) {
        const Span whole{group.front().from, group.back().to};
        const double width = whole.to - whole.from;
        if (width <= limit / kLeastScale) {
            const double fitting = std::min(1.0, limit / width);
            strips.push_back({i_line, whole.from, whole.to, group, i_word, false, fitting});
        } else {
            const std::vector<double> edges = cuts(page, line, whole, limit);
            for (size_t i = 0; i + 1 < edges.size(); ++i) {
                const Span part{edges[i], edges[i + 1]};
                strips.push_back({i_line, part.from, part.to, {part}, i_word, i > 0, 1});
            }
        }
        i_word += static_cast<int>(group.size());
    }
    return strips;
}

int64_t drawn_px(const LayoutLine& line, const Strip& strip, const StripFormat& form,
                 const Drawing& drawing) {
    return cut_width(line, cutting(line, strip, form, drawing));
}

StripTile make_tile(const PixelView& page, const std::vector<LayoutLine>& lines,
                    const std::vector<StripRow>& rows, const StripFormat& form,
                    const Drawing& drawing) {
    if (static_cast<int64_t>(rows.size()) > form.n_rows) {
        throw Error(ErrorKind::argument, "[strips] expected at most " +
                                             std::to_string(form.n_rows) +
                                             " rows of strips on a tile; found " +
                                             std::to_string(rows.size()) + "; draw fewer");
    }
    const auto tile_px = static_cast<size_t>(form.tile_px);
    StripTile tile{std::vector<uint8_t>(tile_px * tile_px * 3, 255), {}};
    for (size_t i_row = 0; i_row < rows.size(); ++i_row) {
        int64_t left = form.left_px;
        double aspect = 0;
        for (const Strip* strip : rows[i_row]) {
            const LayoutLine& line = lines.at(static_cast<size_t>(strip->i_line));
            const crispvl::Strip cut = cut_line(page, line, cutting(line, *strip, form, drawing));
            const int64_t width = paste(cut, form, static_cast<int64_t>(i_row), left, tile.pixels);
            left += width + form.gap_px;
            aspect += static_cast<double>(width) / static_cast<double>(cut.height);
        }
        tile.aspects.push_back(aspect);
    }
    return tile;
}

}  // namespace crispvl::lines
