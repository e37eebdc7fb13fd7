#include "errors.h"

#include <new>

#include "base/error.h"
#include "gil.h"

namespace crispvl::binding {
namespace {

const char* exception_name(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::model_file:
            return "ModelFileError";
        case ErrorKind::image:
            return "ImageError";
        case ErrorKind::context_overflow:
            return "ContextOverflowError";
        case ErrorKind::device:
            return "DeviceError";
        case ErrorKind::memory:
            return "OutOfMemoryError";
        case ErrorKind::cancelled:
            return "Cancelled";
        default:
            return "InternalError";
    }
}

py::object exception_type(ErrorKind kind) {
    if (kind == ErrorKind::argument) return py::reinterpret_borrow<py::object>(PyExc_ValueError);
    if (kind == ErrorKind::not_found) {
        return py::reinterpret_borrow<py::object>(PyExc_FileNotFoundError);
    }
    return py::module_::import("crispvl.errors").attr(exception_name(kind));
}

void raise(ErrorKind kind, const char* text) {
    survive_python([&] { PyErr_SetString(exception_type(kind).ptr(), text); });
}

void translate(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
        raise(error.kind(), error.what());
    } catch (const std::bad_alloc&) {
        raise(ErrorKind::memory,
              "[memory] expected an allocation to succeed; found no memory; free memory or lower "
              "max_tiles and max_tokens");
    }
}

}  // namespace

void translate_errors() {
    py::register_exception_translator(&translate);
}

}  // namespace crispvl::binding
