// The core's own image preparation, which exists for the C API; Python's is its reference.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "image/pixels.h"

namespace crispvl::binding {

// uint8 [h, w] or [h, w, 1, 3 or 4] in C order. Throws ValueError.
PixelView view_of(const pybind11::array_t<uint8_t, pybind11::array::c_style>& pixels);

void bind_image(pybind11::module_& m);

}  // namespace crispvl::binding
