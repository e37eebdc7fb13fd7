#include "gil.h"

#ifndef _WIN32
#include <pthread.h>
#endif

#include <atomic>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "base/stack_room.h"

namespace crispvl::binding {
namespace {

std::atomic<int> n_native_calls{0};  // without the GIL, or waiting for it
std::atomic<unsigned long> main_thread{0};
// Set on the thread that ends the interpreter: a destructor of Python's may call in here.
thread_local bool ends_python = false;

bool is_finalizing() {
#if PY_VERSION_HEX >= 0x030D0000
    return Py_IsFinalizing() != 0;
#else
    return _Py_IsFinalizing() != 0;
#endif
}

// Ends a native call, or interrupts it for Python.
template <typename Take>
auto take_gil(const Take& take) {
#if PY_VERSION_HEX >= 0x030E0000
    n_native_calls.fetch_sub(1);  // before: what waits for the GIL in vain never comes back
    return take();
#else
    try {
        const auto taken = take();
        n_native_calls.fetch_sub(1);
        return taken;
    } catch (...) {  // the unwinding of pthread_exit
        n_native_calls.fetch_sub(1);
        park();
    }
#endif
}

// Runs while the module is torn down, with the GIL. Native calls stop within a layer, and threads
// that wait for the GIL get it once more, to find that Python is gone.
void stop_native_calls() {
    if (!is_finalizing()) return;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    PyThreadState* state = PyEval_SaveThread();
    while (n_native_calls.load() > 0 && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    PyEval_RestoreThread(state);
}

}  // namespace

bool python_is_gone() {
    return !ends_python && is_finalizing();
}

bool is_main_thread() {
    return PyThread_get_thread_ident() == main_thread.load();
}

void park() {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

WithoutGil::WithoutGil() {
    require_stack();
    ends_python = is_finalizing();  // no other thread holds the GIL then
    n_native_calls.fetch_add(1);
    state_ = PyEval_SaveThread();
}

WithoutGil::~WithoutGil() {
    if (python_is_gone()) {
        n_native_calls.fetch_sub(1);
        park();
    }
    take_gil([this] {
        PyEval_RestoreThread(state_);
        return true;
    });
}

PyGILState_STATE enter_python() {
    if (python_is_gone()) {
        throw Error(
            ErrorKind::cancelled,
            "[python] expected a running interpreter; found it ended; start the work again");
    }
    return take_gil([] { return PyGILState_Ensure(); });
}

void leave_python(PyGILState_STATE state) {
    n_native_calls.fetch_add(1);
    PyGILState_Release(state);
}

void follow_python(py::module_& m) {
    const py::object main = py::module_::import("threading").attr("main_thread")();
    main_thread.store(main.attr("ident").cast<unsigned long>());
#ifndef _WIN32
    // The thread that forks is the child's main one, and its only one.
    pthread_atfork(nullptr, nullptr, [] {
        main_thread.store(PyThread_get_thread_ident());
        n_native_calls.store(0);
    });
#endif
    m.attr("_end") = py::capsule(&stop_native_calls);
}

}  // namespace crispvl::binding
