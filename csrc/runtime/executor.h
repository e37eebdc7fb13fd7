// Runs graphs on a model's backends. Sessions of one model share it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/interrupt.h"
#include "runtime/device.h"
#include "runtime/graph.h"
#include "runtime/profile.h"
#include "runtime/turns.h"

namespace crispvl {

class Executor {
public:
    // Sees each matrix product right after it was computed, its operands still readable.
    using Observer = std::function<void(const ggml_tensor& product)>;

    // `max_nodes`: the largest graph that will come. `n_lanes`: graphs of several callers that may
    // be computed at once, with a thread each; more than one only on a CPU. `check` is called
    // before each graph runs and throws where its weights cannot be read.
    Executor(Backends& backends, size_t max_nodes, int n_lanes, std::function<void()> check);

    int n_lanes() const { return n_lanes_; }

    // Allocates the graph, calls `set_inputs`, computes, calls `read_outputs`.
    // Throws Error{memory, cancelled, device} and what `check` throws. Thread-safe; `interrupt`,
    // asked while it waits for another graph as well, may be null. In a fork of the process that
    // made it, it goes on with threads of its own.
    void run(Graph& graph, const std::function<void()>& set_inputs,
             const std::function<void()>& read_outputs, Interrupt* interrupt);

    // Calls `observer` from run(), at some cost in speed; null ends it.
    void observe(Observer observer);

    // Adds what every operation of the coming graphs takes to `profile`, which outlives this; null
    // ends it. Operations run one by one meanwhile. Excludes observe().
    void profile(Profile* profile);

    // From now on run() computes nothing and only notes the memory its graphs would take.
    void measure_only() { measured_bytes_.resize(backends_.all.size(), 0); }
    // Per backend, the compute buffer that the largest graph so far needs; for measure_only().
    const std::vector<size_t>& measured_bytes() const { return measured_bytes_; }

private:
    // What one graph at a time is computed with.
    struct Lane {
        ggml_backend_ptr own_cpu;  // of one thread; none: the model's backends
        ggml_backend_t cpu;
        ggml_backend_sched_ptr sched;
        uint64_t allocated = 0;  // signature of the graph that the buffers are planned for

        void forget_allocation();
    };

    Lane make_lane(bool is_narrow) const;
    Lane& lane_of(const Turns::Turn& turn);
    void allocate(Lane& lane, Graph& graph) const;
    void compute(Lane& lane, Graph& graph, Interrupt* interrupt) const;
    void renew_after_fork();
    void measure(Graph& graph);
    void set_callback();

    Backends& backends_;
    size_t max_nodes_;
    std::function<void()> check_;
    int n_lanes_;
    std::unique_ptr<Turns> turns_;
    std::unique_ptr<Lane> all_;                 // of all threads and devices
    std::vector<std::unique_ptr<Lane>> lanes_;  // each made when it is first needed
    std::atomic<int> process_;                  // the one that these belong to
    std::atomic<bool> is_watched_ = false;      // by an observer or a profile
    Observer observer_;
    Profile* profile_ = nullptr;
    std::vector<size_t> measured_bytes_;
};

}  // namespace crispvl
