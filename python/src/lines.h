// csrc/lines for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

// A page made legible, its strips and their tiles.
void bind_strips(pybind11::module_& m);
// Answers as rows, judged, and the places of their words.
void bind_answers(pybind11::module_& m);
// The strips of a page as lines, and the page's text.
void bind_page_lines(pybind11::module_& m);

}  // namespace crispvl::binding
