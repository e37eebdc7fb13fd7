// What every function of the C API is wrapped in: exceptions become a status and a thread's text.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <exception>
#include <iterator>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "base/error.h"
#include "base/stack_room.h"
#include "capi/struct_fields.h"
#include "include/crispvl.h"

namespace crispvl::capi {

// Keeps the text for crispvl_last_error and returns the status.
crispvl_status fail(crispvl_status status, const char* text) noexcept;
crispvl_status fail(const Error& error) noexcept;

// An output buffer that is too small.
class BufferError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

template <class Work>
crispvl_status guarded(Work&& work) noexcept {
    try {
        require_stack();
        std::forward<Work>(work)();
        return CRISPVL_OK;
    } catch (const Error& error) {
        return fail(error);
    } catch (const BufferError& error) {
        return fail(CRISPVL_ERROR_BUFFER, error.what());
    } catch (const std::bad_alloc&) {
        return fail(CRISPVL_ERROR_MEMORY,
                    "[memory] expected an allocation to succeed; found no memory; "
                    "free memory or lower max_tiles and max_tokens");
    } catch (const std::length_error&) {
        return fail(CRISPVL_ERROR_MEMORY,
                    "[memory] expected sizes that fit into memory; found "
                    "larger ones; lower them");
    } catch (const std::exception& error) {
        return fail(CRISPVL_ERROR_INTERNAL, error.what());
    } catch (...) {
        return fail(CRISPVL_ERROR_INTERNAL,
                    "[capi] expected a known exception; found another; please report it");
    }
}

// Throws Error{argument} unless `ok`; `expected` says what was expected and found.
inline void require(bool ok, const char* expected) {
    if (!ok) throw Error(ErrorKind::argument, expected);
}

template <class T>
T& deref(T* pointer, const char* what) {
    if (pointer != nullptr) return *pointer;
    throw Error(ErrorKind::argument, std::string("[capi] expected ") + what +
                                         "; found NULL; check the status of the call that made it");
}

// A caller's enumeration as a number: it may be none of the values that C++ lets one load.
template <class Enum>
std::underlying_type_t<Enum> number_of(const Enum& value) {
    std::underlying_type_t<Enum> number;
    std::memcpy(&number, &value, sizeof number);
    return number;
}

// How much of a struct is copied where the other side's has `n_bytes`: whole fields.
template <class T>
size_t whole_fields(size_t n_bytes) {
    if (n_bytes >= sizeof(T)) return sizeof(T);
    const auto& offsets = kFieldOffsets<T>;
    return *(std::upper_bound(std::begin(offsets), std::end(offsets), n_bytes) - 1);
}

// Copies a struct that may be of an older or a newer header over `known`'s defaults.
// Throws Error{argument} where its size cannot be, or where it sets fields this library lacks.
template <class T>
void read_struct(const T* params, T& known, const char* init) {
    if (params == nullptr) return;
    const size_t n_bytes = params->struct_size;
    if (n_bytes < sizeof(size_t) || n_bytes > 4096) {
        throw Error(ErrorKind::argument, std::string("[capi] expected params made by ") + init +
                                             "; found a struct of " + std::to_string(n_bytes) +
                                             " bytes; call it first");
    }
    const char* bytes = reinterpret_cast<const char*>(params);
    for (size_t i = sizeof(T); i < n_bytes; ++i) {
        if (bytes[i] != 0) {
            throw Error(ErrorKind::argument,
                        "[capi] expected params that this library knows; found a field of a newer "
                        "crispvl.h; update the library or leave the field at its default");
        }
    }
    std::memcpy(&known, params, whole_fields<T>(n_bytes));
}

// Writes as much of a struct as the caller's header has; what is beyond ours becomes 0.
template <class T>
void write_struct(const T& value, T* out, size_t struct_size) {
    std::memset(static_cast<void*>(out), 0, struct_size);
    std::memcpy(static_cast<void*>(out), &value, whole_fields<T>(struct_size));
}

// Copies `n` values where there is room; with a null `out` only the count is set.
template <class T>
void write_array(const T* values, size_t n, T* out, size_t capacity, size_t* count) {
    deref(count, "a place for the count") = n;
    if (out == nullptr) return;
    if (capacity < n) {
        throw BufferError("[capi] expected room for " + std::to_string(n) + " values; found " +
                          std::to_string(capacity) + "; ask with NULL first");
    }
    if (n > 0) std::memcpy(out, values, n * sizeof(T));
}

}  // namespace crispvl::capi
