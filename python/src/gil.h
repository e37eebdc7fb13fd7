// Giving up the GIL and taking it again, so that the end of the interpreter ends no thread in C++.
//
// Python up to 3.13 answers a daemon thread that asks for the GIL after the interpreter began to
// end with pthread_exit. Its unwinding aborts the process at the first destructor or catch-all on
// its way (cpython issue 87135). Such a thread is parked here instead, as Python 3.14 does it.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <utility>

namespace crispvl::binding {

namespace py = pybind11;

// True on a thread that cannot have the GIL any more, for another one ends the interpreter.
bool python_is_gone();

// Whether this is the thread in which Python handles signals.
bool is_main_thread();

// Sleeps until the process ends.
[[noreturn]] void park();

// A stretch without the GIL, where the core works: throws what require_stack does. Where Python is
// gone at its end, the thread never leaves it.
class WithoutGil {
public:
    WithoutGil();
    ~WithoutGil();
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

private:
    PyThreadState* state_;
};

// Python within a stretch without the GIL. Throws Error{cancelled} where Python is gone.
PyGILState_STATE enter_python();
void leave_python(PyGILState_STATE state);

// Runs what calls Python, with the GIL. A thread that Python ends meanwhile is parked; `call` must
// own nothing, for a destructor would run without the GIL then.
template <typename Call>
auto survive_python(Call&& call) {
    try {
        return std::forward<Call>(call)();
    } catch (const std::exception&) {
        throw;
    } catch (...) {  // the unwinding of pthread_exit
        park();
    }
}

// Calls a function of Python's from a stretch without the GIL. Throws what it raises.
template <typename... Arguments>
void call_python(const py::function& function, const Arguments&... arguments) {
    const PyGILState_STATE state = enter_python();
    PyObject* tuple = py::make_tuple(arguments...).release().ptr();
    PyObject* result = survive_python([&] { return PyObject_CallObject(function.ptr(), tuple); });
    Py_DECREF(tuple);
    if (result == nullptr) {
        py::error_already_set error;
        leave_python(state);
        throw error;
    }
    Py_DECREF(result);
    leave_python(state);
}

// To be called once, by the module: native calls come to a stop while the interpreter ends, before
// what they use is destroyed.
void follow_python(py::module_& m);

}  // namespace crispvl::binding
