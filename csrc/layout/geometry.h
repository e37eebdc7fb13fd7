// Points, boxes and the way from the upright working image back to the page.
#pragma once

#include <algorithm>
#include <array>

namespace crispvl::layout {

struct Point {
    float x = 0, y = 0;
};

// Half-open: right and bottom are the first coordinates outside.
struct Box {
    int left = 0, top = 0, right = 0, bottom = 0;  // px

    int width() const { return right - left; }
    int height() const { return bottom - top; }
    float x_center() const { return 0.5f * static_cast<float>(left + right); }
    float y_center() const { return 0.5f * static_cast<float>(top + bottom); }
    void include(const Box& other) {
        left = std::min(left, other.left);
        top = std::min(top, other.top);
        right = std::max(right, other.right);
        bottom = std::max(bottom, other.bottom);
    }
};

// Length of what two intervals share; negative is the gap between them.
template <typename T>
T overlap(T from_a, T to_a, T from_b, T to_b) {
    return std::min(to_a, to_b) - std::max(from_a, from_b);
}

inline int x_overlap(const Box& a, const Box& b) {
    return overlap(a.left, a.right, b.left, b.right);
}
inline int y_overlap(const Box& a, const Box& b) {
    return overlap(a.top, a.bottom, b.top, b.bottom);
}

// Maps by rotation, scale and shift: (x, y) -> (a x - b y + dx, b x + a y + dy).
struct Frame {
    float a = 1, b = 0, dx = 0, dy = 0;

    Point operator()(Point p) const { return {a * p.x - b * p.y + dx, b * p.x + a * p.y + dy}; }
    // First `inner`, then this.
    Frame after(const Frame& inner) const {
        const Point shift = (*this)({inner.dx, inner.dy});
        return {a * inner.a - b * inner.b, b * inner.a + a * inner.b, shift.x, shift.y};
    }
};

}  // namespace crispvl::layout
