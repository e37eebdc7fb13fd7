// Strips of text lines and the answers to them: csrc/lines for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

void bind_lines(pybind11::module_& m);

}  // namespace crispvl::binding
