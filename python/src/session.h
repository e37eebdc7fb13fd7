// Sessions: prompts, steps of several answers, sampling.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

void bind_session(pybind11::module_& m);

}  // namespace crispvl::binding
