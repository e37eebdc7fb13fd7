// Stops work from any thread, or after a time.
#pragma once

#include <pybind11/pybind11.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

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

    virtual ~CancelToken() = default;

    void cancel() { asked_.store(true); }
    bool cancelled() const { return is_asked() || is_late(); }
    // Whether the clock was what cancelled.
    bool expired() const { return is_late() && !is_asked(); }
    // What working threads ask between operators; virtual, because tests count it.
    virtual bool look() const {
        if (parent_) parent_->look();
        return cancelled();
    }

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
};

}  // namespace crispvl::binding
