// The CPU kernels by themselves, for the tests that compare each with a scalar reference.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

// Adds the submodule `kernels`.
void bind_kernels(pybind11::module_& m);

}  // namespace crispvl::binding
