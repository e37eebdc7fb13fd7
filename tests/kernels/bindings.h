// What only tests call: the CPU kernels by themselves, which are compared with scalar references,
// a token that counts, and the rules for the marks of a line. They are the module `_kernels`, built
// beside the package, not installed.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <utility>
#include <vector>

namespace crispvl::binding {

namespace py = pybind11;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;

void bind_f32_kernels(py::module_& m);
void bind_bf16_kernels(py::module_& m);
void bind_int8_kernels(py::module_& m);
// Derives from the class of `crispvl._core`, which must have been imported.
void bind_counting_token(py::module_& m);
void bind_marks(py::module_& m);

// Hands the values over to numpy without a copy.
inline py::array_t<float> to_numpy(std::vector<float> values, std::vector<py::ssize_t> shape) {
    auto* owned = new std::vector<float>(std::move(values));
    py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<float>*>(p); });
    return py::array_t<float>(std::move(shape), owned->data(), owner);
}

// Every thread's share, one after another: what is tested is that the shares make a whole.
template <typename Share>
void run_shares(int n_threads, const Share& share) {
    for (int i = 0; i < n_threads; ++i) share(i, n_threads);
}

}  // namespace crispvl::binding
