// Runs graphs on a model's backends, one at a time. Sessions of one model share it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/interrupt.h"
#include "runtime/device.h"
#include "runtime/graph.h"
#include "runtime/profile.h"

namespace crispvl {

class Executor {
public:
    // Sees each matrix product right after it was computed, its operands still readable.
    using Observer = std::function<void(const ggml_tensor& product)>;

    // `max_nodes`: the largest graph that will come. `check` is called before each graph runs and
    // throws where its weights cannot be read.
    Executor(Backends& backends, size_t max_nodes, std::function<void()> check);

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

    // Bytes of compute buffers held at present.
    size_t buffer_bytes() const;

private:
    void make_scheduler();
    void renew_after_fork();
    // Waits for the graphs of others. Throws Error{cancelled}.
    std::unique_lock<std::timed_mutex> take_turn(Interrupt* interrupt);
    void measure(Graph& graph);
    void forget_allocation();
    void set_callback();

    Backends& backends_;
    size_t max_nodes_;
    std::function<void()> check_;
    ggml_backend_sched_ptr sched_;
    std::unique_ptr<std::timed_mutex> mutex_ = std::make_unique<std::timed_mutex>();
    std::atomic<int> process_;  // the one that the scheduler and the mutex belong to
    uint64_t allocated_ = 0;    // signature of the graph that the buffers are planned for
    Observer observer_;
    Profile* profile_ = nullptr;
    std::vector<size_t> measured_bytes_;
};

}  // namespace crispvl
