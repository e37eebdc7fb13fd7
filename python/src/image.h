// The core's own image preparation, which exists for the C API; Python's is its reference.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

void bind_image(pybind11::module_& m);

}  // namespace crispvl::binding
