// A CancelToken that counts how often it is asked, to see how soon work would stop.
#include <atomic>
#include <cstdint>
#include <memory>

#include "bindings.h"
#include "cancel_token.h"

namespace crispvl::binding {

namespace {

class CountingToken : public CancelToken {
public:
    CountingToken() : CancelToken(nullptr, std::nullopt) {}
    bool look() const override {
        n_looks_.fetch_add(1, std::memory_order_relaxed);
        return CancelToken::look();
    }
    uint64_t n_looks() const { return n_looks_.load(); }

private:
    mutable std::atomic<uint64_t> n_looks_{0};
};

}  // namespace

void bind_counting_token(py::module_& m) {
    py::class_<CountingToken, CancelToken, std::shared_ptr<CountingToken>>(m, "CountingToken")
        .def(py::init<>())
        .def_property_readonly("n_looks", &CountingToken::n_looks);
}

}  // namespace crispvl::binding
