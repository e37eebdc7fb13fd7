// Stops the core from Python: a CancelToken from any thread, Ctrl-C in the main thread, the end of
// the interpreter in every other.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "gil.h"

namespace crispvl::binding {

namespace py = pybind11;

// Cancelled by cancel(), with its parent, or by the clock.
class CancelToken {
public:
    // `parent` may be null; `limit_s` counts from now. Throws where that is no number over 0.
    CancelToken(std::shared_ptr<CancelToken> parent, std::optional<double> limit_s)
        : parent_(std::move(parent)) {
        if (!limit_s) return;
        if (!(*limit_s > 0)) {
            throw py::value_error("[cancel] expected a limit_s over 0 seconds; found " +
                                  std::to_string(*limit_s) + "; change it or leave it out");
        }
        const std::chrono::duration<double> limit(std::min(*limit_s, kLongest_s));
        end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(limit);
    }

    void cancel() { asked_.store(true); }
    bool cancelled() const { return is_asked() || is_late(); }
    // Whether the clock was what cancelled.
    bool expired() const { return is_late() && !is_asked(); }
    // The working thread's look at the token; counted, so that it can be seen how soon it acts.
    bool look() const {
        for (const CancelToken* token = this; token != nullptr; token = token->parent_.get()) {
            token->n_looks_.fetch_add(1, std::memory_order_relaxed);
        }
        return cancelled();
    }
    uint64_t n_looks() const { return n_looks_.load(); }

private:
    using Clock = std::chrono::steady_clock;
    static constexpr double kLongest_s = 1e9;  // thirty years, which no clock's range ends before

    bool is_asked() const { return asked_.load() || (parent_ && parent_->is_asked()); }
    bool is_late() const {
        return (end_ && Clock::now() >= *end_) || (parent_ && parent_->is_late());
    }

    std::shared_ptr<CancelToken> parent_;
    std::optional<Clock::time_point> end_;
    std::atomic<bool> asked_{false};
    mutable std::atomic<uint64_t> n_looks_{0};
};

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
    const bool handles_signals_;  // Python handles them in its main thread alone
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
