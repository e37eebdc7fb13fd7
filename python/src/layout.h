#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

void bind_layout(pybind11::module_& m);

}  // namespace crispvl::binding
