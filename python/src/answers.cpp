#include "line_values.h"
#include "lines.h"
#include "lines/doubt.h"
#include "lines/rows.h"
#include "lines/word_order.h"
#include "lines/word_places.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;
using namespace lines;

using Token = std::tuple<int32_t, double, std::u32string>;

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

}  // namespace

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

}  // namespace crispvl::binding
