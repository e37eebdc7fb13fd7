// Whose graph is computed when. A graph that is alone has all threads; those of several callers
// have one thread each where that is faster, on lanes beside each other.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <vector>

#include "base/interrupt.h"

namespace crispvl {

class Turns {
public:
    // `n_lanes`: graphs that may be computed at once; 1: each has all threads.
    explicit Turns(int n_lanes) : is_busy_(static_cast<size_t>(n_lanes)) {}

    // Held while a graph is computed.
    class Turn {
    public:
        ~Turn() { turns_.end(i_lane_); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

        bool has_all_threads() const { return i_lane_ < 0; }
        size_t i_lane() const { return static_cast<size_t>(i_lane_); }

    private:
        friend class Turns;
        Turn(Turns& turns, int i_lane) : turns_(turns), i_lane_(i_lane) {}

        Turns& turns_;
        int i_lane_;  // negative: none, but all threads
    };

    // Waits for a turn; `alone`: for one with all threads. Throws Error{cancelled}.
    Turn take(bool alone, Interrupt* interrupt);

private:
    using Time = std::chrono::steady_clock::time_point;

    int find(bool alone, Time now) const;
    void end(int i_lane);

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<bool> is_busy_;  // lanes
    int n_running_ = 0, n_waiting_alone_ = 0;
    bool is_one_alone_ = false;
    Time met_{};  // when callers last met
};

}  // namespace crispvl
