#include <cmath>
#include "gil.h"
#include "image.h"
#include "line_values.h"
#include "lines.h"
#include "lines/drawn_pages.h"
#include "lines/legible.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;
using namespace lines;

Pixels legible_channel(const Pixels& pixels) {
    const PixelView view = view_of(pixels);
    layout::GreyImage grey;
    {
        const WithoutGil without;
        grey = legible(to_rgb(view));
    }
    return Pixels({grey.height, grey.width}, grey.pixels.data());
}

StripTile draw_tile(const Pixels& page, const std::vector<LayoutLine>& lines,
                    const std::vector<Strip>& strips, const Form& form, double scale,
                    double stretch) {
    std::vector<StripRow> shown;
    for (const Strip& strip : strips) shown.push_back({&strip});
    const PixelView view = view_of(page);
    const WithoutGil without;
    return make_tile(view, lines, shown, form_of(form), {scale, stretch});
}

Pixels pixels_of(const StripTile& tile, int64_t tile_px) {
    return Pixels({tile_px, tile_px, int64_t{3}}, tile.pixels.data());
}

void bind_pages(py::module_& m) {
    m.attr("DRAWN_SCALE") = kDrawnScale;
    m.def("legible_channel", &legible_channel, "pixels"_a);
    m.def("is_drawn", [](const Pixels& pixels) { return is_drawn(view_of(pixels)); }, "pixels"_a);
    m.def(
        "strip_format",
        [](int64_t tile_px, int64_t tokens_per_tile, std::optional<int64_t> n_rows,
           std::optional<int64_t> pitch_px, std::optional<int64_t> height_px,
           std::optional<int64_t> left_px, std::optional<int64_t> gap_px) {
            const StripFormat form = strip_format(tile_px, tokens_per_tile,
                                                  {n_rows, pitch_px, height_px, left_px, gap_px});
            return Form{form.tile_px,   form.n_rows,  form.pitch_px,
                        form.height_px, form.left_px, form.gap_px};
        },
        "tile_px"_a, "tokens_per_tile"_a, "n_rows"_a = py::none(), "pitch_px"_a = py::none(),
        "height_px"_a = py::none(), "left_px"_a = py::none(), "gap_px"_a = py::none());
}

}  // namespace

void bind_strips(py::module_& m) {
    bind_pages(m);
    py::class_<Strip>(m, "Strip")
        .def(py::init([](int i_line, double x_from, double x_to, const std::vector<Pair>& words,
                         int i_word, bool within_word, double scale) {
                 return Strip{i_line, x_from, x_to, spans_of(words), i_word, within_word, scale};
             }),
             "i_line"_a, "x_from"_a, "x_to"_a, "words"_a, "i_word"_a, "within_word"_a = false,
             "scale"_a = 1.0)
        .def_readonly("x_from", &Strip::x_from)
        .def_readonly("x_to", &Strip::x_to)
        .def_property_readonly("words", [](const Strip& self) { return pairs_of(self.words); })
        .def_readonly("within_word", &Strip::within_word)
        .def_readonly("scale", &Strip::scale);
    m.def(
        "cut_into_strips",
        [](const Pixels& page, int i_line, const LayoutLine& line, const Form& form, double scale) {
            return cut_into_strips(view_of(page), i_line, line, form_of(form), scale);
        },
        "page"_a, "i_line"_a, "line"_a, "form"_a, "scale"_a = 1.0);
    py::class_<StripTile>(m, "StripTile")
        .def_property_readonly("pixels",
                               [](const StripTile& self) {
                                   const auto n = static_cast<double>(self.pixels.size() / 3);
                                   return pixels_of(self, std::llround(std::sqrt(n)));
                               })
        .def_readonly("aspects", &StripTile::aspects)
        .def_property_readonly("most_tokens", &StripTile::most_tokens);
    m.def("make_tile", &draw_tile, "page"_a, "lines"_a, "strips"_a, "form"_a, "scale"_a = 1.0,
          "stretch"_a = 1.0);
}

}  // namespace crispvl::binding
