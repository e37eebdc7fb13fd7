// Errors of the core. Every message reads `[where] what was expected; what was found; what to do`.
#pragma once

#include <stdexcept>
#include <string>

namespace crispvl {

enum class ErrorKind {
    argument,          // a caller's slip
    not_found,         // a file that is not there
    model_file,        // a GGUF that cannot be used
    image,             // pixels that cannot be used
    context_overflow,  // more tokens than the KV cache or the model holds
    device,            // a backend that is missing or failed
    memory,            // an allocation that failed
    cancelled,         // stopped by the caller
    internal,          // our own mistake
};

class Error : public std::runtime_error {
public:
    // What of the message is not UTF-8, as names from a file may be, becomes U+FFFD.
    Error(ErrorKind kind, const std::string& message);
    ErrorKind kind() const noexcept { return kind_; }

private:
    ErrorKind kind_;
};

}  // namespace crispvl
