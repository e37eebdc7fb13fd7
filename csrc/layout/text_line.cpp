#include "layout/text_line.h"

#include <cmath>

namespace crispvl::layout {
namespace {

constexpr float kCapHeight = 1.38f;   // in x-heights, of usual text faces
constexpr float kCoreShare = 0.42f;   // of the ink in the core's rows that makes a row of it
constexpr float kRimShare = 0.02f;    // of it, below which rows are outside of the letters
constexpr size_t kLeastForSlope = 6;  // pieces; fewer are taken as level
constexpr size_t kLeastForCore = 5;   // pieces; of fewer, one may have no dense zone ("7")
constexpr float kMostSlope = 0.03f;

// The slope at which the lower ends of the pieces fall into the fewest rows.
float best_slope(const Components& components, const TextLine& line) {
    const float width = static_cast<float>(line.box.width()),
                height = static_cast<float>(line.box.height());
    if (line.pieces.size() < kLeastForSlope || width < 5 * height) return 0;
    const float row_px = std::max(1.0f, 0.06f * height);
    std::vector<Point> ends;
    for (const Piece& piece : line.pieces) {
        const Box& box = components.all[static_cast<size_t>(piece.component)].box;
        if (3 * box.height() < line.box.height()) continue;
        ends.push_back({box.x_center() - static_cast<float>(line.box.left),
                        static_cast<float>(piece.bottom - line.box.top)});
    }
    std::vector<int> rows;
    float best = 0;
    double most = 0;
    for (int i = 0; i <= 30; ++i) {
        // 0, then away from it on both sides: the flattest of equals.
        const float slope = kMostSlope / 15 * static_cast<float>(i % 2 ? (i + 1) / 2 : -i / 2);
        rows.assign(static_cast<size_t>((height + 2 * kMostSlope * width) / row_px) + 4, 0);
        for (const Point& end : ends) {
            const float y = end.y - slope * end.x + kMostSlope * width;
            ++rows[static_cast<size_t>(
                std::clamp(y / row_px, 0.0f, static_cast<float>(rows.size() - 1)))];
        }
        double sum = 0;
        for (size_t j = 1; j < rows.size(); ++j) {
            const double n = rows[j] + rows[j - 1];
            sum += n * n;
        }
        if (sum > most * 1.05) most = sum, best = slope;
    }
    return best;
}

struct Profile {
    int first = 0;           // y of the first row, at the line's left
    std::vector<float> ink;  // px of each row
};

// Ink of the rows that follow the line's slope.
Profile row_profile(const Components& components, const TextLine& line) {
    const float drop = std::fabs(line.slope) * static_cast<float>(line.box.width());
    Profile profile;
    profile.first = line.box.top - static_cast<int>(drop) - 1;
    profile.ink.resize(static_cast<size_t>(line.box.height() + 2 * static_cast<int>(drop) + 3));
    each_run(components, line, [&](const Run& run) {
        const float x =
            0.5f * static_cast<float>(run.from + run.to) - static_cast<float>(line.box.left);
        const int y = static_cast<int>(std::lround(static_cast<float>(run.y) - line.slope * x)) -
                      profile.first;
        const size_t i =
            static_cast<size_t>(std::clamp(y, 0, static_cast<int>(profile.ink.size()) - 1));
        profile.ink[i] += static_cast<float>(run.to - run.from);
    });
    return profile;
}

struct Zone {
    size_t from = 0, to = 0;
};

// Means of `n` rows around each, so that rows of serifs count no more than those of stems.
std::vector<float> smoothed(const std::vector<float>& ink, int n) {
    std::vector<float> out(ink.size());
    const int size = static_cast<int>(ink.size());
    for (int i = 0; i < size; ++i) {
        for (int j = std::max(0, i - n / 2); j <= std::min(size - 1, i + n / 2); ++j) {
            out[static_cast<size_t>(i)] += ink[static_cast<size_t>(j)] / static_cast<float>(n);
        }
    }
    return out;
}

// What a row of the core usually has: half of all ink is in rows that have more.
float usual_ink(std::vector<float> ink) {
    std::sort(ink.begin(), ink.end());
    float total = 0, seen = 0;
    for (const float v : ink) total += v;
    for (const float v : ink) {
        seen += v;
        if (2 * seen >= total) return v;
    }
    return 0;
}

// The edge between rows, within `reach` of `near`, where the ink falls off most in the direction
// away from the core.
size_t sharpest_edge(const std::vector<float>& ink, size_t near, int reach, bool downwards) {
    const int size = static_cast<int>(ink.size());
    const auto at = [&](int i) { return i < 0 || i >= size ? 0.0f : ink[static_cast<size_t>(i)]; };
    int best = static_cast<int>(near);
    float most = 0;
    for (int i = std::max(0, best - reach), end = std::min(size, static_cast<int>(near) + reach);
         i <= end; ++i) {
        const float above = at(i - 1) + 0.5f * at(i - 2), below = at(i) + 0.5f * at(i + 1);
        const float fall = downwards ? above - below : below - above;
        if (fall > most) most = fall, best = i;
    }
    return static_cast<size_t>(best);
}

// The rows in which most of the ink is: those with a good share of what the core's rows have.
Zone core_zone(const std::vector<float>& raw, int height) {
    const int window = std::max(1, height / 6) | 1;
    const std::vector<float> ink = smoothed(raw, window);
    const float least = kCoreShare * usual_ink(ink);
    Zone best, zone;
    float most = -1, sum = 0;
    size_t thin = 0;  // rows in a row below the share
    for (size_t i = 0; i < ink.size(); ++i) {
        if (ink[i] >= least) {
            if (sum == 0) zone.from = i;
            zone.to = i + 1;
            sum += ink[i];
            thin = 0;
            if (sum > most) most = sum, best = zone;
        } else if (sum > 0 && ++thin > std::max<size_t>(1, (zone.to - zone.from) / 5)) {
            sum = 0;
            thin = 0;
        }
    }
    const size_t from = sharpest_edge(raw, best.from, window, false);
    const size_t to = sharpest_edge(raw, best.to, window, true);
    return from < to ? Zone{from, to} : best;
}

}  // namespace

void measure(const Components& components, TextLine& line) {
    line.box = {1 << 30, 1 << 30, -1, -1};
    for (const Piece& piece : line.pieces) {
        Box box = components.all[static_cast<size_t>(piece.component)].box;
        box.top = std::max(box.top, piece.top);
        box.bottom = std::min(box.bottom, piece.bottom);
        line.box.include(box);
    }
    line.slope = best_slope(components, line);
    const Profile profile = row_profile(components, line);
    Zone core = core_zone(profile.ink, line.box.height());
    const size_t height = static_cast<size_t>(line.box.height());
    if (line.pieces.size() < kLeastForCore && 5 * (core.to - core.from) < 3 * height) {
        core.from = static_cast<size_t>(line.box.top - profile.first);
        core.to = core.from + height;
    }
    float all = 0, in_core = 0;
    line.over = line.under = 0;
    size_t first = profile.ink.size(), last = 0;
    const float rim = kRimShare * *std::max_element(profile.ink.begin(), profile.ink.end());
    for (size_t i = 0; i < profile.ink.size(); ++i) {
        all += profile.ink[i];
        if (i >= core.from && i < core.to) in_core += profile.ink[i];
        if (i < core.from) line.over += profile.ink[i];
        if (i >= core.to) line.under += profile.ink[i];
        if (profile.ink[i] > rim) first = std::min(first, i), last = i;
    }
    int n_runs = 0;
    each_run(components, line, [&](const Run&) { ++n_runs; });
    line.core = static_cast<float>(core.to - core.from);
    line.base = static_cast<float>(profile.first) + static_cast<float>(core.to);
    line.above = static_cast<float>(core.to - std::min(core.to, first));
    line.below = static_cast<float>(last + 1 - std::min(last + 1, core.to));
    line.density = in_core / std::max(1.0f, line.core * static_cast<float>(line.box.width()));
    line.stroke = all / static_cast<float>(std::max(1, n_runs));
    // Ascenders over the core tell that it is the x-height.
    const bool capitals = line.above < 1.2f * line.core || line.over < 0.03f * all;
    line.x_height = capitals ? line.core / kCapHeight : line.core;
}

std::vector<TextLine> merged(const Components& components, std::vector<TextLine>& lines,
                             Sets& groups) {
    std::vector<TextLine> all;
    for (const std::vector<size_t>& group : groups.groups()) {
        TextLine line = std::move(lines[group.front()]);
        for (size_t i = 1; i < group.size(); ++i) {
            const std::vector<Piece>& more = lines[group[i]].pieces;
            line.pieces.insert(line.pieces.end(), more.begin(), more.end());
        }
        if (group.size() > 1) measure(components, line);
        all.push_back(std::move(line));
    }
    return all;
}

std::vector<Box> boxes_of(const std::vector<TextLine>& lines) {
    std::vector<Box> boxes;
    for (const TextLine& line : lines) boxes.push_back(line.box);
    return boxes;
}

}  // namespace crispvl::layout
