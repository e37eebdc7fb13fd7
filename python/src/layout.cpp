#include "layout.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cmath>
#include <tuple>

#include "gil.h"
#include "image.h"
#include "interrupt.h"
#include "layout/blank.h"
#include "layout/layout.h"
#include "layout/regions.h"
#include "layout/strips.h"

namespace crispvl::binding {
namespace {

namespace py = pybind11;
using namespace py::literals;

using Points = py::array_t<float>;

template <size_t n>
Points points_of(const std::array<layout::Point, n>& points) {
    Points out({static_cast<py::ssize_t>(n), py::ssize_t{2}});
    float* to = out.mutable_data();
    for (const layout::Point& point : points) {
        *to++ = point.x;
        *to++ = point.y;
    }
    return out;
}

Points quads_of(const std::vector<Quad>& quads) {
    Points out({static_cast<py::ssize_t>(quads.size()), py::ssize_t{4}, py::ssize_t{2}});
    float* to = out.mutable_data();
    for (const Quad& quad : quads) {
        for (const layout::Point& point : quad) {
            *to++ = point.x;
            *to++ = point.y;
        }
    }
    return out;
}

Points word_spans(const LayoutLine& line) {
    Points out({static_cast<py::ssize_t>(line.words.size()), py::ssize_t{2}});
    float* to = out.mutable_data();
    for (const LayoutWord& word : line.words) {
        *to++ = word.from;
        *to++ = word.to;
    }
    return out;
}

Points word_quads(const LayoutLine& line) {
    std::vector<Quad> quads;
    for (const LayoutWord& word : line.words) quads.push_back(word.quad);
    return quads_of(quads);
}

py::object cell_of(const LayoutLine& line) {
    if (!line.cell) return py::none();
    return py::make_tuple(line.cell->row, line.cell->column);
}

py::array_t<uint8_t> strip_of(const py::array_t<uint8_t, py::array::c_style>& pixels,
                              const LayoutLine& line, int64_t height_px,
                              std::optional<float> x_from, std::optional<float> x_to,
                              float stretch) {
    const PixelView view = view_of(pixels);
    const auto& [start, end] = line.baseline;
    const StripOptions options{height_px, x_from.value_or(0.0f),
                               x_to.value_or(std::hypot(end.x - start.x, end.y - start.y)),
                               stretch};
    Strip strip;
    {
        const WithoutGil without;
        strip = cut_line(view, line, options);
    }
    py::array_t<uint8_t> out({strip.height, strip.width, int64_t{3}});
    uint8_t* to = out.mutable_data();
    for (const uint8_t grey : strip.grey) {
        for (int i = 0; i < 3; ++i) *to++ = grey;
    }
    return out;
}

TilingConfig tiling_of(int64_t tile_px, int64_t max_tiles, int64_t min_tiles) {
    return {tile_px, min_tiles, max_tiles, /*thumbnail=*/true};
}

using Rectangle = std::tuple<double, double, double, double>;

std::vector<Rectangle> regions_of(const Layout& layout, int64_t tile_px, int64_t max_tiles,
                                  int64_t min_tiles) {
    std::vector<Rectangle> rectangles;
    for (const Region& r : find_regions(layout, tiling_of(tile_px, max_tiles, min_tiles))) {
        rectangles.emplace_back(r.left, r.top, r.right, r.bottom);
    }
    return rectangles;
}

bool is_legible_on(const Layout& layout, int64_t tile_px, int64_t max_tiles, int64_t min_tiles) {
    return is_legible(layout, tiling_of(tile_px, max_tiles, min_tiles));
}

bool has_no_ink(const py::array_t<uint8_t, py::array::c_style>& pixels) {
    const RgbImage page = to_rgb(view_of(pixels));
    const WithoutGil without;
    return is_blank(page);
}

}  // namespace

void bind_layout(py::module_& m) {
    py::class_<LayoutLine>(m, "LayoutLine")
        .def_property_readonly("quad", [](const LayoutLine& self) { return points_of(self.quad); })
        .def_property_readonly("baseline",
                               [](const LayoutLine& self) { return points_of(self.baseline); })
        .def_readonly("x_height_px", &LayoutLine::x_height)
        .def_readonly("stroke_px", &LayoutLine::stroke)
        .def_property_readonly(
            "band",
            [](const LayoutLine& self) { return py::make_tuple(self.band_above, self.band_below); })
        .def_property_readonly(
            "band_px", [](const LayoutLine& self) { return self.band_above + self.band_below; })
        .def_readonly("inverse", &LayoutLine::inverse)
        .def_readonly("block", &LayoutLine::block)
        .def_property_readonly("cell", &cell_of)
        .def_property_readonly("words", &word_spans)
        .def_property_readonly("word_quads", &word_quads);
    py::class_<LayoutBlock>(m, "LayoutBlock")
        .def_property_readonly("kind",
                               [](const LayoutBlock& self) {
                                   return self.kind == LayoutBlock::Kind::table ? "table" : "text";
                               })
        .def_property_readonly("quad", [](const LayoutBlock& self) { return points_of(self.quad); })
        .def_readonly("lines", &LayoutBlock::lines);
    py::class_<Layout>(m, "Layout")
        .def_readonly("width", &Layout::width)
        .def_readonly("height", &Layout::height)
        .def_readonly("angle_degrees", &Layout::angle_degrees)
        .def_readonly("quarter_turns", &Layout::quarter_turns)
        .def_readonly("lines", &Layout::lines)
        .def_readonly("blocks", &Layout::blocks)
        .def_property_readonly("rules", [](const Layout& self) { return quads_of(self.rules); })
        .def_property_readonly("pictures",
                               [](const Layout& self) { return quads_of(self.pictures); });
    m.def(
        "find_layout",
        [](const py::array_t<uint8_t, py::array::c_style>& pixels, const CancelToken* cancel) {
            const PixelView view = view_of(pixels);
            return run_interruptible(
                cancel, [&](Interrupt* interrupt) { return find_layout(view, interrupt); });
        },
        "pixels"_a, "cancel"_a = nullptr);
    m.def("is_legible", &is_legible_on, "layout"_a, "tile_px"_a, "max_tiles"_a, "min_tiles"_a = 1);
    m.def("find_regions", &regions_of, "layout"_a, "tile_px"_a, "max_tiles"_a, "min_tiles"_a = 1);
    m.def("is_blank", &has_no_ink, "pixels"_a);
    m.def("cut_line", &strip_of, "pixels"_a, "line"_a, "height_px"_a = 26, "x_from"_a = py::none(),
          "x_to"_a = py::none(), "stretch"_a = 1.0f);
}

}  // namespace crispvl::binding
