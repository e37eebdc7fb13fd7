// Stops the core from Python: a CancelToken from any thread, Ctrl-C in the main thread, the end of
// the interpreter in every other.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "cancel_token.h"
#include "gil.h"

namespace crispvl::binding {

namespace py = pybind11;

class PythonInterrupt : public Interrupt {
public:
    // Any of the tokens stops the work; they may be null.
    explicit PythonInterrupt(std::vector<const CancelToken*> tokens)
        : tokens_(std::move(tokens)), handles_signals_(is_main_thread()) {}

    bool requested() override {
        for (const CancelToken* token : tokens_) {
            if (token != nullptr && token->look()) return true;
        }
        if (python_is_gone()) return true;
        if (!handles_signals_) return false;
        // Looking at signals takes the GIL; a hundred times a second is soon enough for a person.
        const auto now = std::chrono::steady_clock::now();
        if (now - last_look_ < std::chrono::milliseconds(10)) return signalled_;
        last_look_ = now;
        const PyGILState_STATE state = enter_python();
        signalled_ = signalled_ || PyErr_CheckSignals() != 0;
        leave_python(state);
        return signalled_;
    }
    bool signalled() const { return signalled_; }

private:
    std::vector<const CancelToken*> tokens_;
    const bool handles_signals_;  // Python handles them only in its main thread
    std::chrono::steady_clock::time_point last_look_ = std::chrono::steady_clock::now();
    bool signalled_ = false;
};

// Runs `work(interrupt)` without the GIL. A signal's own exception (KeyboardInterrupt) wins over
// the cancellation it caused.
template <typename Work>
auto run_interruptible(std::vector<const CancelToken*> tokens, Work&& work) {
    PythonInterrupt interrupt(std::move(tokens));
    try {
        const WithoutGil without;
        return work(static_cast<Interrupt*>(&interrupt));
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled && interrupt.signalled()) {
            throw py::error_already_set();
        }
        throw;
    }
}

template <typename Work>
auto run_interruptible(const CancelToken* token, Work&& work) {
    return run_interruptible(std::vector<const CancelToken*>{token}, std::forward<Work>(work));
}

}  // namespace crispvl::binding
