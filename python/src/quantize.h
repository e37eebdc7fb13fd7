// GGUF files, conversion of rows and importance sums for Python.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

void bind_quantize(pybind11::module_& m);

}  // namespace crispvl::binding
