#include "bindings.h"
#include "kernels/f32/kernels.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

std::pair<double, int64_t> summarise_row(const Floats& x) {
    const kernels::RowSummary found = kernels::summarise_row(x.data(), x.size());
    return {found.log_sum, found.i_first};
}

}  // namespace

void bind_f32_kernels(py::module_& m) {
    m.def("summarise_row", &summarise_row, "x"_a);
}

}  // namespace crispvl::binding
