#include <memory>
#include "gil.h"
#include "image.h"
#include "line_values.h"
#include "lines.h"
#include "lines/beginning.h"
#include "lines/page_strips.h"
#include "lines/page_writer.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;
using namespace lines;

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

StripTile look_at(const OwnedStrips& self, const TileRows& numbers, const Look& look) {
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
        .def_property_readonly("n_tokens", &ReadLine::n_tokens)
        .def("beginning", &beginning_of, "n_tokens"_a);
    py::class_<Look>(m, "Look");
    m.attr("LOOKS") = py::cast(std::vector<Look>(kLooks.begin(), kLooks.end()));
    py::class_<OwnedStrips>(m, "PageStrips")
        .def(py::init<Pixels, std::vector<LayoutLine>, const Form&>(), "pixels"_a, "lines"_a,
             "form"_a)
        .def("doubtful", [](const OwnedStrips& self) { return self.strips->doubtful(); })
        .def("unread", [](const OwnedStrips& self) { return self.strips->unread(); })
        .def(
            "wants",
            [](const OwnedStrips& self, const Look& look, int number) {
                return self.strips->wants(look, number);
            },
            "look"_a, "number"_a)
        .def(
            "tiles_of",
            [](const OwnedStrips& self, const std::vector<int>& numbers, const Look& look) {
                return self.strips->tiles_of(numbers, look);
            },
            "numbers"_a, "look"_a)
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
            [](OwnedStrips& self, const TileRows& numbers, const std::vector<Row>& rows,
               bool whole) { self.strips->take(numbers, rows, whole); },
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

void bind_page_lines(py::module_& m) {
    bind_lines_of_pages(m);
    bind_writer(m);
}

}  // namespace crispvl::binding
