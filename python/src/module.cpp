// crispvl._core: types in, exceptions out, GIL released. What the arguments mean is in
// python/crispvl/_core.pyi and the core's headers.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "base/stack_room.h"
#include "cancel_token.h"
#include "describe.h"
#include "errors.h"
#include "ggml.h"
#include "gil.h"
#include "image.h"
#include "kernels/cpu.h"
#include "kernels/names.h"
#include "layout.h"
#include "lines.h"
#include "model.h"
#include "quantize.h"
#include "runtime/cores.h"
#include "runtime/device.h"
#include "session.h"
#include "tiff_messages.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

py::dict build_info() {
    return py::dict("version"_a = CRISPVL_VERSION, "ggml_version"_a = ggml_version(),
                    "ggml_commit"_a = ggml_commit(), "features"_a = cpu_features(),
                    "kernels"_a = kernels::kernel_names(), "backends"_a = backend_names(),
                    "default_threads"_a = usable_cores());
}

py::list devices() {
    py::list all;
    for (const DeviceInfo& d : list_devices()) {
        all.append(py::dict("name"_a = d.name, "description"_a = d.description, "type"_a = d.type,
                            "memory_free"_a = d.memory_free_bytes,
                            "memory_total"_a = d.memory_total_bytes));
    }
    return all;
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "The compiled core of crispvl.";
    translate_errors();
    follow_python(m);
    // pybind11 looks numpy up at the first array, without the GIL for a moment: a thread that
    // Python ends meanwhile would abort the process (see gil.h).
    py::dtype::of<float>();
    py::class_<CancelToken, std::shared_ptr<CancelToken>>(
        m, "CancelToken",
        "Stops work from another thread: by `cancel`, after ``limit_s`` seconds, or with a parent.")
        .def(py::init<std::shared_ptr<CancelToken>, std::optional<double>>(),
             "parent"_a = std::shared_ptr<CancelToken>(), "limit_s"_a = std::nullopt)
        .def("cancel", &CancelToken::cancel)
        .def_property_readonly("cancelled", &CancelToken::cancelled)
        .def_property_readonly("expired", &CancelToken::expired);
    bind_model(m);
    bind_session(m);
    bind_profile(m);
    bind_image(m);
    bind_tiff_messages(m);
    bind_layout(m);
    bind_strips(m);
    bind_answers(m);
    bind_page_lines(m);
    m.def("require_stack", &require_stack);
    m.def("build_info", &build_info);
    m.def("devices", &devices);
    m.def("cpu_quota", &cpu_quota, "root"_a = "");
    m.def("usable_cores", &usable_cores, "root"_a = "");
    m.def("limit_features", &kernels::limit_features, "features"_a);
    bind_quantize(m);
}

}  // namespace crispvl::binding
