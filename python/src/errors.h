// Errors of the core as exceptions of Python.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

// To be called once, by the module.
void translate_errors();

}  // namespace crispvl::binding
