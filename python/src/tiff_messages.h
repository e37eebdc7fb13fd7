// What libtiff says on a thread, noted instead of printed.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

void bind_tiff_messages(pybind11::module_& m);

}  // namespace crispvl::binding
