// Loaded models: tokens, encoded tiles, traces.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

void bind_model(pybind11::module_& m);

}  // namespace crispvl::binding
