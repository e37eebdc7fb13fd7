// Places and formats of strips as tuples of Python's.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <tuple>
#include <vector>

#include "lines/joining.h"
#include "lines/strip_format.h"
#include "lines/strips.h"

namespace crispvl::binding {

namespace py = pybind11;

using Pixels = py::array_t<uint8_t, py::array::c_style>;
using Pair = std::tuple<double, double>;
using Quad4 = std::tuple<Pair, Pair, Pair, Pair>;
// tile_px, n_rows, pitch_px, height_px, left_px, gap_px
using Form = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t>;

inline lines::StripFormat form_of(const Form& form) {
    const auto& [tile_px, n_rows, pitch_px, height_px, left_px, gap_px] = form;
    return {tile_px, n_rows, pitch_px, height_px, left_px, gap_px};
}

inline Pair pair_of(const lines::Corner& corner) {
    return {corner.x, corner.y};
}

inline Quad4 quad_of(const lines::Corners& c) {
    return {pair_of(c[0]), pair_of(c[1]), pair_of(c[2]), pair_of(c[3])};
}

inline lines::Corner corner_of(const Pair& pair) {
    return {std::get<0>(pair), std::get<1>(pair)};
}

inline lines::Corners corners_of(const Quad4& quad) {
    const auto& [a, b, c, d] = quad;
    return {corner_of(a), corner_of(b), corner_of(c), corner_of(d)};
}

inline std::vector<Pair> pairs_of(const std::vector<lines::Span>& spans) {
    std::vector<Pair> pairs;
    for (const lines::Span& span : spans) pairs.emplace_back(span.from, span.to);
    return pairs;
}

inline std::vector<lines::Span> spans_of(const std::vector<Pair>& pairs) {
    std::vector<lines::Span> spans;
    for (const auto& [from, to] : pairs) spans.push_back({from, to});
    return spans;
}

}  // namespace crispvl::binding
