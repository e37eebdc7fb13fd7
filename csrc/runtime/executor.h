// Runs graphs on a model's backends, one at a time. Sessions of one model share it.
#pragma once

#include <functional>
#include <mutex>

#include "runtime/device.h"
#include "runtime/graph.h"
#include "runtime/interrupt.h"

namespace crispvl {

class Executor {
public:
    // `max_nodes`: the largest graph that will come.
    Executor(Backends& backends, size_t max_nodes);

    // Allocates the graph, calls `set_inputs`, computes, calls `read_outputs`.
    // Throws Error{memory, cancelled, device}. Thread-safe; `interrupt` may be null.
    void run(Graph& graph, const std::function<void()>& set_inputs,
             const std::function<void()>& read_outputs, Interrupt* interrupt);

    // Bytes of compute buffers held at present.
    size_t buffer_bytes() const;

private:
    Backends& backends_;
    ggml_backend_sched_ptr sched_;
    std::mutex mutex_;
};

}  // namespace crispvl
