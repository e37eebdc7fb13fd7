#include <pybind11/stl.h>

#include "bindings.h"
#include "kernels/cpu.h"

PYBIND11_MODULE(_kernels, m) {
    m.def("limit_features", &crispvl::kernels::limit_features, pybind11::arg("features"));
    crispvl::binding::bind_f32_kernels(m);
    crispvl::binding::bind_bf16_kernels(m);
    crispvl::binding::bind_int8_kernels(m);
    crispvl::binding::bind_counting_token(m);
    crispvl::binding::bind_marks(m);
}
