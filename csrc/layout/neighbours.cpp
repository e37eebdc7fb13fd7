#include "layout/neighbours.h"

namespace crispvl::layout {

BoxIndex::BoxIndex(const std::vector<Box>& boxes, int row_px)
    : boxes_(boxes), row_px_(std::max(1, row_px)) {
    int bottom = 0;
    if (!boxes.empty()) top_ = boxes.front().top;
    for (const Box& box : boxes) {
        top_ = std::min(top_, box.top);
        bottom = std::max(bottom, box.bottom);
    }
    rows_.resize(static_cast<size_t>(std::max(0, bottom - top_) / row_px_ + 1));
    std::vector<int> by_left(boxes.size());
    for (size_t i = 0; i < boxes.size(); ++i) by_left[i] = static_cast<int>(i);
    std::stable_sort(by_left.begin(), by_left.end(), [&](int i, int j) {
        return boxes[static_cast<size_t>(i)].left < boxes[static_cast<size_t>(j)].left;
    });
    for (const int i : by_left) {
        const Box& box = boxes[static_cast<size_t>(i)];
        for (int row = row_of(box.top); row <= row_of(box.bottom - 1); ++row) {
            rows_[static_cast<size_t>(row)].push_back(i);
        }
    }
}

int BoxIndex::gap_to_right(size_t i, int reach) const {
    const Box& box = boxes_[i];
    int nearest = reach;
    each_between(box, box.left, box.right + reach, [&](size_t j) {
        const Box& other = boxes_[j];
        const int lower = std::min(box.height(), other.height());
        if (j == i || 2 * y_overlap(box, other) < lower || other.right <= box.right) return;
        nearest = std::min(nearest, std::max(0, other.left - box.right));
    });
    return nearest;
}

}  // namespace crispvl::layout
