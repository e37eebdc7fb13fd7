#include <pybind11/stl.h>

#include <memory>

#include "describe.h"

namespace crispvl::binding {
namespace {

// Watches a model's graphs from its making to stop() or its end.
class Profiler {
public:
    explicit Profiler(std::shared_ptr<const Model> model) : model_(std::move(model)) {
        model_->executor().profile(&profile_);
    }
    ~Profiler() { stop(); }
    Profiler(const Profiler&) = delete;
    Profiler& operator=(const Profiler&) = delete;

    void stop() {
        if (model_ != nullptr) model_->executor().profile(nullptr);
        model_ = nullptr;
    }
    // Once stopped: operation -> (calls, seconds).
    py::dict entries() const {
        py::dict found;
        for (const auto& [name, entry] : profile_.entries()) {
            found[py::str(name)] = py::make_tuple(entry.n_calls, entry.seconds);
        }
        return found;
    }

private:
    std::shared_ptr<const Model> model_;
    Profile profile_;
};

}  // namespace

void bind_profile(py::module_& m) {
    py::class_<Profiler>(m, "Profiler", "Where the time of a model's graphs goes, by operation.")
        .def(py::init<std::shared_ptr<const Model>>(), py::arg("model"))
        .def(
            "stop",
            [](Profiler& self) {
                self.stop();
                return self.entries();
            },
            "Watches no longer; operation -> (calls, seconds).");
}

}  // namespace crispvl::binding
