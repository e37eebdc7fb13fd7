// Where the time of an answer goes.
#pragma once

#include <chrono>

namespace crispvl {

// Adds the time since its last use to a sum.
class Clock {
public:
    void lap(double& sum_ms) {
        const auto now = std::chrono::steady_clock::now();
        sum_ms += std::chrono::duration<double, std::milli>(now - since_).count();
        since_ = now;
    }

private:
    std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace crispvl
