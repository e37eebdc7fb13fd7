#include "tiff_messages.h"

#include <cstdarg>
#include <cstdint>
#include <string_view>

namespace crispvl::binding {
namespace {

namespace py = pybind11;

// tiffio.h: TIFFErrorHandler, and the function that takes one and returns that before.
using Handler = void (*)(const char* module, const char* format, va_list arguments);
using SetHandler = Handler (*)(Handler);

Handler print_error = nullptr, print_warning = nullptr;  // what the process had before
thread_local bool listens = false, heard_damage = false;

// Warnings about tags are none about pixels; codecs say who they are.
bool is_of_a_codec(const char* module) {
    const std::string_view name = module == nullptr ? "" : module;
    for (const char* codec :
         {"Fax", "JPEG", "OJPEG", "LZW", "ZIP", "PackBits", "LogLuv", "Pixar"}) {
        if (name.substr(0, std::string_view(codec).size()) == codec) return true;
    }
    return false;
}

void on_error(const char* module, const char* format, va_list arguments) {
    if (listens) {
        heard_damage = true;
    } else if (print_error != nullptr) {
        print_error(module, format, arguments);
    }
}

void on_warning(const char* module, const char* format, va_list arguments) {
    if (listens) {
        heard_damage = heard_damage || is_of_a_codec(module);
    } else if (print_warning != nullptr) {
        print_warning(module, format, arguments);
    }
}

// Puts our handlers in place of the process's; other threads' messages go to those.
void follow(uintptr_t set_error_handler, uintptr_t set_warning_handler) {
    print_error = reinterpret_cast<SetHandler>(set_error_handler)(&on_error);
    print_warning = reinterpret_cast<SetHandler>(set_warning_handler)(&on_warning);
}

void listen() {
    listens = true;
    heard_damage = false;
}

bool listen_no_more() {
    listens = false;
    return heard_damage;
}

}  // namespace

void bind_tiff_messages(py::module_& m) {
    m.def("follow_libtiff", &follow);
    m.def("listen_to_libtiff", &listen);
    m.def("listen_no_more_to_libtiff", &listen_no_more);
}

}  // namespace crispvl::binding
