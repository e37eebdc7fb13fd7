#include "layout/skew.h"

#include <cmath>

#include "layout/neighbours.h"

namespace crispvl::layout {
namespace {

constexpr double kDegree = 3.14159265358979323846 / 180;
constexpr double kMost = 10.5 * kDegree;
// Share of letters with a neighbour in the row: 0.68 and more on printed pages, below 0.32 turned.
constexpr double kSurelyBeside = 0.33, kDoubtful = 0.45;
constexpr size_t kMostLetters = 6000;  // looked at, spread over the page
constexpr size_t kLeastLetters = 12;   // fewer tell no angle

std::vector<Box> letters(const std::vector<Component>& components, int text_height, bool vertical) {
    std::vector<Box> boxes;
    for (const Component& c : components) {
        const int height = vertical ? c.box.width() : c.box.height();
        const int width = vertical ? c.box.height() : c.box.width();
        if (2 * height < text_height || 5 * height > 12 * text_height || width > 30 * text_height)
            continue;
        boxes.push_back(vertical ? Box{c.box.top, c.box.left, c.box.bottom, c.box.right} : c.box);
    }
    if (boxes.size() <= kMostLetters) return boxes;
    std::vector<Box> some;
    for (size_t i = 0; i < kMostLetters; ++i)
        some.push_back(boxes[i * boxes.size() / kMostLetters]);
    return some;
}

// How sharply points fall into rows that descend by `slope`: the sum of squared counts of rows.
double sharpness(const std::vector<Point>& points, double slope, double row_px,
                 std::vector<uint32_t>& rows) {
    std::fill(rows.begin(), rows.end(), 0u);
    for (const Point& p : points) {
        const double y = (p.y - slope * p.x) / row_px;
        const int64_t i = static_cast<int64_t>(y) + static_cast<int64_t>(rows.size() / 4);
        ++rows[static_cast<size_t>(
            std::clamp<int64_t>(i, 0, static_cast<int64_t>(rows.size()) - 1))];
    }
    double sum = 0;
    for (size_t i = 1; i < rows.size(); ++i) {
        const double n = rows[i] + rows[i - 1];  // twice as wide, so that no row's edge matters
        sum += n * n;
    }
    return sum;
}

double best_angle(const std::vector<Point>& points, double row_px, double& best_score) {
    double extent = 1;
    for (const Point& p : points)
        extent = std::max({extent, static_cast<double>(p.y), static_cast<double>(p.x)});
    std::vector<uint32_t> rows(static_cast<size_t>(2 * extent / row_px) + 8);
    double best = 0;
    best_score = sharpness(points, 0, row_px, rows) * 1.02;  // upright in doubt
    const auto search = [&](double from, double to, double step) {
        for (double angle = from; angle <= to; angle += step) {
            const double score = sharpness(points, std::tan(angle), row_px, rows);
            if (score > best_score) best_score = score, best = angle;
        }
    };
    search(-kMost, kMost, 0.25 * kDegree);
    const double coarse = best;
    best_score = 0;
    search(coarse - 0.25 * kDegree, coarse + 0.251 * kDegree, 0.05 * kDegree);
    return best;
}

struct Direction {
    double radians = 0, score = 0;
    double near_share =
        0;  // of letters whose neighbour in the line is nearer than that in the next
};

Direction look_along(const std::vector<Component>& components, int text_height, bool vertical) {
    const std::vector<Box> boxes = letters(components, text_height, vertical);
    Direction direction;
    if (boxes.size() < kLeastLetters) return direction;
    std::vector<Point> lower, upper;
    for (const Box& box : boxes) {
        lower.push_back({box.x_center(), static_cast<float>(box.bottom)});
        upper.push_back({box.x_center(), static_cast<float>(box.top)});
    }
    const double row_px = std::max(1.0, 0.1 * text_height);
    double lower_score = 0, upper_score = 0;
    const double by_lower = best_angle(lower, row_px, lower_score);
    const double by_upper = best_angle(upper, row_px, upper_score);
    direction.radians = lower_score >= upper_score ? by_lower : by_upper;
    direction.score = std::max(lower_score, upper_score) / static_cast<double>(boxes.size());
    return direction;
}

// Share of letters that have a nearer neighbour beside them than above or below.
double beside_share(const std::vector<Component>& components, int text_height) {
    std::vector<Box> boxes;
    for (const Component& c : components) {
        const int longer = std::max(c.box.width(), c.box.height());
        if (2 * longer >= text_height && longer <= 4 * text_height) boxes.push_back(c.box);
    }
    std::vector<Box> exchanged;
    for (const Box& b : boxes) exchanged.push_back({b.top, b.left, b.bottom, b.right});
    const BoxIndex rows(boxes, text_height), columns(exchanged, text_height);
    const int reach = 4 * text_height;
    double beside = 0, below = 0;
    for (size_t i = 0; i < boxes.size(); ++i) {
        const int right = rows.gap_to_right(i, reach), down = columns.gap_to_right(i, reach);
        if (right == down) continue;
        (right < down ? beside : below) += 1;
    }
    return beside + below == 0 ? 0.5 : beside / (beside + below);
}

}  // namespace

int typical_height(const std::vector<Component>& components) {
    constexpr int kMostHeight = 250;
    std::vector<double> weight(kMostHeight + 1);
    double total = 0;
    for (const Component& c : components) {
        const int height = c.box.height(), width = c.box.width();
        if (height < 4 || height > kMostHeight || width > 12 * height || height > 12 * width)
            continue;
        weight[static_cast<size_t>(height)] += height;
        total += height;
    }
    double sum = 0;
    for (int height = 0; height <= kMostHeight; ++height) {
        sum += weight[static_cast<size_t>(height)];
        if (total > 0 && 2 * sum >= total) return height;
    }
    return 0;
}

Skew find_skew(const std::vector<Component>& components, int text_height) {
    const Direction rows = look_along(components, text_height, false);
    const Direction columns = look_along(components, text_height, true);
    const double beside = beside_share(components, text_height);
    const bool vertical =
        beside < kSurelyBeside || (columns.score > rows.score && beside < kDoubtful);
    if (vertical && columns.score > 0) return {true, columns.radians};
    return {false, rows.radians};
}

}  // namespace crispvl::layout
