#include "lines.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <tuple>

#include "gil.h"
#include "image.h"
#include "lines/contrast.h"
#include "lines/dither.h"
#include "lines/drawn_pages.h"
#include "lines/page_strips.h"
#include "lines/page_writer.h"
#include "lines/word_order.h"
#include "lines/word_places.h"

namespace crispvl::binding {
namespace {

namespace py = pybind11;
using namespace py::literals;
using namespace lines;

using Pixels = py::array_t<uint8_t, py::array::c_style>;
using Pair = std::tuple<double, double>;
using Quad4 = std::tuple<Pair, Pair, Pair, Pair>;
// tile_px, n_rows, pitch_px, height_px, left_px
using Form = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t>;
using Token = std::tuple<int32_t, double, std::u32string>;

StripFormat form_of(const Form& form) {
    const auto& [tile_px, n_rows, pitch_px, height_px, left_px] = form;
    return {tile_px, n_rows, pitch_px, height_px, left_px};
}

Pair pair_of(const Corner& corner) {
    return {corner.x, corner.y};
}

Quad4 quad_of(const Corners& c) {
    return {pair_of(c[0]), pair_of(c[1]), pair_of(c[2]), pair_of(c[3])};
}

Corner corner_of(const Pair& pair) {
    return {std::get<0>(pair), std::get<1>(pair)};
}

Corners corners_of(const Quad4& quad) {
    const auto& [a, b, c, d] = quad;
    return {corner_of(a), corner_of(b), corner_of(c), corner_of(d)};
}

std::vector<Pair> pairs_of(const std::vector<Span>& spans) {
    std::vector<Pair> pairs;
    for (const Span& span : spans) pairs.emplace_back(span.from, span.to);
    return pairs;
}

std::vector<Span> spans_of(const std::vector<Pair>& pairs) {
    std::vector<Span> spans;
    for (const auto& [from, to] : pairs) spans.push_back({from, to});
    return spans;
}

RgbImage rgb_of(const Pixels& pixels) {
    return to_rgb(view_of(pixels));
}

py::object without_dots(const Pixels& pixels) {
    RgbImage page = rgb_of(pixels);
    bool has_any;
    {
        const WithoutGil without;
        has_any = smooth_dots(page);
    }
    if (!has_any) return py::none();
    return Pixels({page.height, page.width, int64_t{3}}, page.pixels.data());
}

Pixels channel(const Pixels& pixels) {
    const RgbImage page = rgb_of(pixels);
    layout::GreyImage grey;
    {
        const WithoutGil without;
        grey = contrast_channel(page);
    }
    return Pixels({grey.height, grey.width}, grey.pixels.data());
}

std::vector<Row> rows_of(const std::vector<Token>& tokens, std::optional<double> stop_logprob) {
    RowSplitter splitter;
    for (const auto& [id, logprob, piece] : tokens) splitter.push(id, logprob, piece);
    return splitter.finish(stop_logprob);
}

std::vector<std::tuple<int, int, double, double>> places_of(
    const std::vector<std::u32string>& words, const std::vector<Pair>& ink) {
    const std::vector<std::u32string_view> views(words.begin(), words.end());
    std::vector<std::tuple<int, int, double, double>> places;
    for (const Place& place : place_words(views, spans_of(ink))) {
        places.emplace_back(place.first, place.last, place.start, place.end);
    }
    return places;
}

std::vector<std::tuple<size_t, size_t>> shown_at(const std::u32string& text) {
    std::vector<std::tuple<size_t, size_t>> columns;
    for (const CharSpan& span : visual_spans(text)) columns.emplace_back(span.first, span.end);
    return columns;
}

StripTile draw_tile(const Pixels& page, const std::vector<LayoutLine>& lines,
                    const std::vector<Strip>& strips, const Form& form, double scale,
                    double stretch) {
    std::vector<const Strip*> shown;
    for (const Strip& strip : strips) shown.push_back(&strip);
    const PixelView view = view_of(page);
    const WithoutGil without;
    return make_tile(view, lines, shown, form_of(form), {scale, stretch});
}

Pixels pixels_of(const StripTile& tile, int64_t tile_px) {
    return Pixels({tile_px, tile_px, int64_t{3}}, tile.pixels.data());
}

// Strips with what they look at.
struct OwnedStrips {
    OwnedStrips(Pixels page, std::vector<LayoutLine> all_lines, const Form& form)
        : pixels(std::move(page)), lines(std::move(all_lines)) {
        const PixelView view = view_of(pixels);
        const WithoutGil without;
        strips = std::make_unique<PageStrips>(view, lines, form_of(form));
    }

    Pixels pixels;
    std::vector<LayoutLine> lines;
    std::unique_ptr<PageStrips> strips;
};

StripTile look_at(const OwnedStrips& self, const std::vector<int>& numbers, const Look& look) {
    const WithoutGil without;
    return self.strips->tile(numbers, look.drawing);
}

// A writer with its layout.
struct OwnedWriter {
    OwnedWriter(const Layout& of, WriteAs as) : layout(of), writer(layout, as) {}

    Layout layout;
    PageWriter writer;
};

// What is new of the text, and its lines.
std::tuple<std::u32string, std::vector<PlacedLine>> put(OwnedWriter& self, const ReadLines& read) {
    const size_t n_chars = self.writer.text().size(), n_lines = self.writer.lines().size();
    self.writer.put(read);
    const std::vector<PlacedLine>& lines = self.writer.lines();
    return {self.writer.text().substr(n_chars),
            {lines.begin() + static_cast<std::ptrdiff_t>(n_lines), lines.end()}};
}

void bind_pages(py::module_& m) {
    m.attr("DRAWN_SCALE") = kDrawnScale;
    m.def("smooth_dots", &without_dots, "pixels"_a);
    m.def("contrast_channel", &channel, "pixels"_a);
    m.def("is_drawn", [](const Pixels& pixels) { return is_drawn(view_of(pixels)); }, "pixels"_a);
    m.def(
        "strip_format",
        [](int64_t tile_px, int64_t tokens_per_tile, std::optional<int64_t> n_rows,
           std::optional<int64_t> pitch_px, std::optional<int64_t> height_px,
           std::optional<int64_t> left_px) {
            const StripFormat form =
                strip_format(tile_px, tokens_per_tile, {n_rows, pitch_px, height_px, left_px});
            return Form{form.tile_px, form.n_rows, form.pitch_px, form.height_px, form.left_px};
        },
        "tile_px"_a, "tokens_per_tile"_a, "n_rows"_a = py::none(), "pitch_px"_a = py::none(),
        "height_px"_a = py::none(), "left_px"_a = py::none());
}

void bind_strips(py::module_& m) {
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

void bind_answers(py::module_& m) {
    py::class_<Row>(m, "Row")
        .def(py::init([](std::vector<int32_t> ids, std::vector<double> logprobs,
                         std::vector<std::u32string> pieces, std::u32string text,
                         std::vector<double> sureness, bool ended,
                         std::optional<double> end_logprob) {
                 return Row{std::move(ids),  std::move(logprobs), std::move(pieces),
                            std::move(text), std::move(sureness), ended,
                            end_logprob};
             }),
             py::kw_only(), "ids"_a = std::vector<int32_t>(), "logprobs"_a = std::vector<double>(),
             "pieces"_a = std::vector<std::u32string>(), "text"_a = std::u32string(),
             "sureness"_a = std::vector<double>(), "ended"_a = false, "end_logprob"_a = py::none())
        .def_readwrite("ids", &Row::ids)
        .def_readwrite("logprobs", &Row::logprobs)
        .def_readwrite("pieces", &Row::pieces)
        .def_readwrite("text", &Row::text)
        .def_readwrite("sureness", &Row::sureness)
        .def_readwrite("ended", &Row::ended)
        .def_readwrite("end_logprob", &Row::end_logprob);
    m.def("split_rows", &rows_of, "tokens"_a, "stop_logprob"_a = py::none());
    py::class_<Reading>(m, "Reading")
        .def_readonly("row", &Reading::row)
        .def_readonly("fits", &Reading::fits)
        .def_readonly("plausible", &Reading::plausible)
        .def_readonly("doubtful", &Reading::doubtful);
    m.def("judge", &judge, "strip"_a, "row"_a, "x_height"_a);
    m.def("place_words", &places_of, "words"_a, "ink"_a);
    m.def("visual_spans", &shown_at, "text"_a);
}

void bind_lines_of_pages(py::module_& m) {
    py::class_<ReadWord>(m, "ReadWord")
        .def(py::init([](std::u32string text, double logprob, const Quad4& quad) {
                 return ReadWord{std::move(text), logprob, corners_of(quad)};
             }),
             "text"_a, "logprob"_a, "quad"_a)
        .def_readonly("text", &ReadWord::text)
        .def_readonly("logprob", &ReadWord::logprob)
        .def_property_readonly("quad", [](const ReadWord& self) { return quad_of(self.quad); });
    py::class_<ReadLine>(m, "ReadLine")
        .def(py::init([](std::vector<ReadWord> words, double logprob, const Quad4& quad,
                         std::vector<Row> rows, int block) {
                 return ReadLine{std::move(words), logprob, corners_of(quad), std::move(rows),
                                 block};
             }),
             "words"_a, "logprob"_a, "quad"_a, "rows"_a, "block"_a = 0)
        .def_readonly("words", &ReadLine::words)
        .def_readonly("logprob", &ReadLine::logprob)
        .def_property_readonly("quad", [](const ReadLine& self) { return quad_of(self.quad); })
        .def_readonly("rows", &ReadLine::rows)
        .def_readonly("block", &ReadLine::block)
        .def_property_readonly("text", &ReadLine::text)
        .def_property_readonly("n_tokens", &ReadLine::n_tokens);
    py::class_<Look>(m, "Look");
    m.attr("LOOKS") = py::cast(std::vector<Look>(kLooks.begin(), kLooks.end()));
    py::class_<OwnedStrips>(m, "PageStrips")
        .def(py::init<Pixels, std::vector<LayoutLine>, const Form&>(), "pixels"_a, "lines"_a,
             "form"_a)
        .def("doubtful", [](const OwnedStrips& self) { return self.strips->doubtful(); })
        .def("unread", [](const OwnedStrips& self) { return self.strips->unread(); })
        .def(
            "shown_to",
            [](const OwnedStrips& self, const Look& look) { return self.strips->shown_to(look); },
            "look"_a)
        .def(
            "settled",
            [](const OwnedStrips& self, const std::vector<int>& i_lines) {
                return self.strips->settled(i_lines);
            },
            "i_lines"_a)
        .def("tile", &look_at, "numbers"_a, "look"_a)
        .def(
            "take",
            [](OwnedStrips& self, const std::vector<int>& numbers, std::vector<Row> rows,
               bool whole) { self.strips->take(numbers, std::move(rows), whole); },
            "numbers"_a, "rows"_a, "whole"_a)
        .def(
            "join", [](const OwnedStrips& self, int i_line) { return self.strips->join(i_line); },
            "i_line"_a);
}

void bind_writer(py::module_& m) {
    py::class_<PlacedWord>(m, "PlacedWord")
        .def_readonly("start", &PlacedWord::start)
        .def_readonly("text", &PlacedWord::text)
        .def_readonly("confidence", &PlacedWord::confidence)
        .def_property_readonly("quad", [](const PlacedWord& self) { return quad_of(self.quad); });
    py::class_<PlacedLine>(m, "PlacedLine")
        .def_readonly("start", &PlacedLine::start)
        .def_readonly("text", &PlacedLine::text)
        .def_readonly("confidence", &PlacedLine::confidence)
        .def_property_readonly("quad", [](const PlacedLine& self) { return quad_of(self.quad); })
        .def_readonly("block", &PlacedLine::block)
        .def_readonly("words", &PlacedLine::words);
    py::class_<OwnedWriter>(m, "PageWriter")
        .def(py::init([](const Layout& layout, bool as_markdown, bool only_tables) {
                 return std::make_unique<OwnedWriter>(layout, only_tables   ? WriteAs::tables
                                                              : as_markdown ? WriteAs::markdown
                                                                            : WriteAs::text);
             }),
             "layout"_a, "as_markdown"_a, "only_tables"_a)
        .def_property_readonly("text", [](const OwnedWriter& self) { return self.writer.text(); })
        .def_property_readonly("waiting",
                               [](const OwnedWriter& self) { return self.writer.waiting(); })
        .def("put", &put, "lines"_a)
        .def_property_readonly("markdown",
                               [](const OwnedWriter& self) { return self.writer.markdown(); });
}

}  // namespace

void bind_lines(py::module_& m) {
    bind_pages(m);
    bind_strips(m);
    bind_answers(m);
    bind_lines_of_pages(m);
    bind_writer(m);
}

}  // namespace crispvl::binding
