#include <pybind11/stl.h>

#include <string>

#include "bindings.h"
#include "lines/marks.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

// A word's text, and where it begins and ends along its line.
using PlacedText = std::tuple<std::u32string, double, double>;

std::vector<std::u32string> settled(const std::vector<PlacedText>& placed, double x_height) {
    std::vector<lines::ReadWord> words;
    for (const auto& [text, from, to] : placed) {
        words.push_back({text, 0.0, {{{from, 0}, {to, 0}, {to, x_height}, {from, x_height}}}});
    }
    lines::settle_marks(words, x_height);
    std::vector<std::u32string> texts;
    for (const lines::ReadWord& word : words) texts.push_back(word.text);
    return texts;
}

std::u32string dash_shown(const std::u32string& dash, double width, double height,
                          double x_height) {
    return lines::dash_shown(dash, {width, height, 1}, x_height);
}

std::u32string bullet_shown(double density) {
    return lines::bullet_shown({1, 1, density});
}

}  // namespace

void bind_marks(py::module_& m) {
    m.def("settled_marks", &settled, "words"_a, "x_height"_a);
    m.def("dash_shown", &dash_shown, "dash"_a, "width"_a, "height"_a, "x_height"_a);
    m.def("is_bullet", [](const std::u32string& word) { return lines::is_bullet(word); });
    m.def("bullet_shown", &bullet_shown, "density"_a);
}

}  // namespace crispvl::binding
