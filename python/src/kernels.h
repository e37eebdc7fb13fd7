// The CPU kernels by themselves, for the tests that compare each with a scalar reference.
#pragma once

#include <pybind11/pybind11.h>

namespace crispvl::binding {

// Adds the submodule `kernels`.
void bind_kernels(pybind11::module_& m);
void bind_int8_kernels(pybind11::module_& kernels);

// Every thread's share, one after another: what is tested is that the shares make a whole.
template <typename Share>
void run_shares(int n_threads, const Share& share) {
    for (int i = 0; i < n_threads; ++i) share(i, n_threads);
}

}  // namespace crispvl::binding
