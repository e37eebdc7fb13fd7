#include "layout/pictures.h"

#include <cstdlib>

namespace crispvl::layout {
namespace {

constexpr int kLeastSide = 6;         // letters, of the longer side
constexpr float kLeastStroke = 1.2f;  // letters, that a picture's shapes are thick on average
constexpr int kOtherPaper = 70;       // grey levels from that of most of the page
constexpr float kInked = 0.3f;        // of a tile
constexpr float kLeastFill = 0.35f;   // of its box, which is all picture then
constexpr int kLeastTiles = 24;       // of a picture

bool is_picture(const Component& c, int text_height) {
    const int longer = std::max(c.box.width(), c.box.height());
    return longer > kLeastSide * text_height &&
           static_cast<float>(c.area) > kLeastStroke * static_cast<float>(text_height * longer);
}

}  // namespace

Pictures::Pictures(const Components& components, const Paper& paper, int text_height)
    : tile_px_(std::max(4, text_height / 2)),
      text_height_(std::max(1, text_height)),
      columns_(paper.columns * Paper::kTilePx / tile_px_ + 1),
      rows_(paper.rows * Paper::kTilePx / tile_px_ + 1),
      taken_(static_cast<size_t>(columns_) * static_cast<size_t>(rows_)) {
    add_shapes(components);
    add_other_paper(paper);
    widen();
    fill();
}

void Pictures::add_shapes(const Components& components) {
    std::vector<int> inked(taken_.size());
    for (const Component& c : components.all) {
        if (!is_picture(c, text_height_)) continue;
        for (const Run* run = components.begin(c); run != components.end(c); ++run) {
            const size_t row =
                static_cast<size_t>(run->y / tile_px_) * static_cast<size_t>(columns_);
            for (int x = run->from; x < run->to; ++x)
                ++inked[row + static_cast<size_t>(x / tile_px_)];
        }
    }
    const float least = kInked * static_cast<float>(tile_px_ * tile_px_);
    for (size_t i = 0; i < inked.size(); ++i) taken_[i] = static_cast<float>(inked[i]) >= least;
}

void Pictures::add_other_paper(const Paper& paper) {
    std::vector<uint8_t> levels = paper.level;
    const auto middle = levels.begin() + static_cast<std::ptrdiff_t>(levels.size() / 2);
    std::nth_element(levels.begin(), middle, levels.end());
    const int usual = *middle;
    for (int y = 0; y < rows_; ++y) {
        for (int x = 0; x < columns_; ++x) {
            const int px = std::min(x * tile_px_, paper.columns * Paper::kTilePx - 1),
                      py = std::min(y * tile_px_, paper.rows * Paper::kTilePx - 1);
            if (std::abs(paper.level[paper.index(px, py)] - usual) < kOtherPaper) continue;
            taken_[static_cast<size_t>(y) * static_cast<size_t>(columns_) +
                   static_cast<size_t>(x)] = 1;
        }
    }
}

void Pictures::widen() {
    const std::vector<uint8_t> before = taken_;
    for (int y = 0; y < rows_; ++y) {
        for (int x = 0; x < columns_; ++x) {
            const size_t i =
                static_cast<size_t>(y) * static_cast<size_t>(columns_) + static_cast<size_t>(x);
            if (!before[i]) continue;
            for (int v = std::max(0, y - 1); v <= std::min(rows_ - 1, y + 1); ++v) {
                for (int u = std::max(0, x - 1); u <= std::min(columns_ - 1, x + 1); ++u) {
                    taken_[static_cast<size_t>(v) * static_cast<size_t>(columns_) +
                           static_cast<size_t>(u)] = 1;
                }
            }
        }
    }
}

bool Pictures::hold(const Box& box) const {
    int n = 0, within = 0;
    for (int y = box.top / tile_px_; y <= std::min(rows_ - 1, (box.bottom - 1) / tile_px_); ++y) {
        for (int x = box.left / tile_px_; x <= std::min(columns_ - 1, (box.right - 1) / tile_px_);
             ++x) {
            ++n;
            within += at(x, y);
        }
    }
    return n > 0 && 2 * within > n;
}

Components Pictures::areas() const {
    std::vector<Run> runs;
    for (int y = 0; y < rows_; ++y) {
        for (int x = 0; x < columns_; ++x) {
            if (!at(x, y)) continue;
            const int from = x;
            while (x < columns_ && at(x, y)) ++x;
            runs.push_back({y, from, x});
        }
    }
    Components found;
    group_runs(runs, kLeastTiles, false, found);
    return found;
}

void Pictures::fill() {
    for (const Component& c : areas().all) {
        const float all = static_cast<float>(c.box.width()) * static_cast<float>(c.box.height());
        if (static_cast<float>(c.area) < kLeastFill * all) continue;
        for (int y = c.box.top; y < c.box.bottom; ++y) {
            for (int x = c.box.left; x < c.box.right; ++x) {
                taken_[static_cast<size_t>(y) * static_cast<size_t>(columns_) +
                       static_cast<size_t>(x)] = 1;
            }
        }
    }
}

std::vector<Box> Pictures::boxes() const {
    std::vector<Box> boxes;
    for (const Component& c : areas().all) {
        boxes.push_back({c.box.left * tile_px_, c.box.top * tile_px_, c.box.right * tile_px_,
                         c.box.bottom * tile_px_});
    }
    return boxes;
}

}  // namespace crispvl::layout
