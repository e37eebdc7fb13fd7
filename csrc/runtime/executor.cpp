#include "runtime/executor.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/log.h"

namespace crispvl {
namespace {

// ggml's evaluation callback: asked first whether a node is wanted, then called with its result.
bool show_product(ggml_tensor* node, bool ask, void* observer) {
    const bool is_product = node->op == GGML_OP_MUL_MAT || node->op == GGML_OP_MUL_MAT_ID;
    if (!ask && is_product) (*static_cast<Executor::Observer*>(observer))(*node);
    return is_product || !ask;
}

// Every node is wanted, so each is computed between the two calls.
bool time_node(ggml_tensor* node, bool ask, void* profile) {
    Profile& to = *static_cast<Profile*>(profile);
    ask ? to.begin() : to.end(*node);
    return true;
}

// Floating-point operations that make another thread worth waking; below, threads that wait for
// each other at every node cost more than they bring, above all on a busy machine.
constexpr double kFlopPerThread = 3e7;

int useful_threads(ggml_cgraph* graph, int n_threads) {
    double n_flop = 0;
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
        const ggml_tensor* node = ggml_graph_node(graph, i);
        // Our own operations are mostly products over their first source.
        if (node->op != GGML_OP_MUL_MAT && node->op != GGML_OP_MUL_MAT_ID &&
            node->op != GGML_OP_CUSTOM) {
            continue;
        }
        n_flop += 2.0 * static_cast<double>(node->src[0]->ne[0]) *
                  static_cast<double>(ggml_nelements(node));
    }
    const double n_useful = 1 + n_flop / kFlopPerThread;
    return n_useful < n_threads ? static_cast<int>(n_useful) : n_threads;
}

// How long a call waits for another's graph before it looks whether it should go on waiting.
constexpr std::chrono::milliseconds kPatience{10};

// What decides which tensors may share memory: the operations in order and which results are kept.
uint64_t signature(ggml_cgraph* graph) {
    uint64_t hash = 14695981039346656037ull;  // FNV-1a
    const auto mix = [&](uint64_t value) { hash = (hash ^ value) * 1099511628211ull; };
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
        const ggml_tensor* node = ggml_graph_node(graph, i);
        mix(static_cast<uint64_t>(node->op));
        mix(static_cast<uint64_t>(node->flags & GGML_TENSOR_FLAG_OUTPUT));
    }
    return hash;
}

bool abort_requested(void* interrupt) {
    return static_cast<Interrupt*>(interrupt)->requested();
}

// Lets the CPU backend ask for the interrupt between nodes, for the life of the guard.
class AbortGuard {
public:
    AbortGuard(ggml_backend_t cpu, Interrupt* interrupt) : cpu_(cpu) {
        ggml_backend_cpu_set_abort_callback(cpu_, interrupt != nullptr ? abort_requested : nullptr,
                                            interrupt);
    }
    ~AbortGuard() { ggml_backend_cpu_set_abort_callback(cpu_, nullptr, nullptr); }
    AbortGuard(const AbortGuard&) = delete;
    AbortGuard& operator=(const AbortGuard&) = delete;

private:
    ggml_backend_t cpu_;
};

}  // namespace

void throw_if_requested(Interrupt* interrupt) {
    if (interrupt != nullptr && interrupt->requested()) {
        throw Error(ErrorKind::cancelled, "[engine] stopped by the caller");
    }
}

Executor::Executor(Backends& backends, size_t max_nodes, std::function<void()> check)
    : backends_(backends),
      max_nodes_(max_nodes),
      check_(std::move(check)),
      process_(current_process()) {
    make_scheduler();
}

void Executor::make_scheduler() {
    std::vector<ggml_backend_t> all;
    for (const ggml_backend_ptr& backend : backends_.all) all.push_back(backend.get());
    sched_.reset(ggml_backend_sched_new(all.data(), nullptr, static_cast<int>(all.size()),
                                        max_nodes_,
                                        /*parallel=*/false, /*op_offload=*/true));
    if (!sched_)
        throw Error(ErrorKind::memory,
                    "[engine] expected memory for the graph scheduler; found none; free memory");
}

// The threads of the pool are not in the child, and a mutex may be held by one that is not. What
// cannot be freed without them stays: pages that the child shares with its parent.
void Executor::renew_after_fork() {
    static std::mutex renewing;
    std::lock_guard<std::mutex> lock(renewing);
    if (process_ == current_process()) return;
    backends_.renew_after_fork();
    sched_.release();
    make_scheduler();
    set_callback();
    allocated_ = 0;
    mutex_.release();
    mutex_ = std::make_unique<std::timed_mutex>();
    process_ = current_process();
}

std::unique_lock<std::timed_mutex> Executor::take_turn(Interrupt* interrupt) {
    std::unique_lock<std::timed_mutex> turn(*mutex_, std::defer_lock);
    // By the system's clock: waiting by the steady one is a lock that ThreadSanitizer does not see.
    while (!turn.try_lock_until(std::chrono::system_clock::now() + kPatience)) {
        throw_if_requested(interrupt);
    }
    return turn;
}

void Executor::run(Graph& graph, const std::function<void()>& set_inputs,
                   const std::function<void()>& read_outputs, Interrupt* interrupt) {
    if (process_ != current_process()) renew_after_fork();
    const std::unique_lock<std::timed_mutex> turn = take_turn(interrupt);
    throw_if_requested(interrupt);
    check_();
    if (!measured_bytes_.empty()) return measure(graph);
    if (const uint64_t found = signature(graph.cgraph()); found != allocated_) {
        forget_allocation();
        allocated_ = found;
    }
    ggml_backend_sched_reset(sched_.get());
    if (!ggml_backend_sched_alloc_graph(sched_.get(), graph.cgraph())) {
        allocated_ = 0;  // what there is of a plan is incomplete
        throw Error(ErrorKind::memory,
                    "[engine] expected memory for the compute buffers; found " + take_log_error() +
                        "; lower max_tiles or the context, or close other models");
    }
    graph.set_constants();
    set_inputs();
    ggml_backend_cpu_set_n_threads(backends_.cpu(),
                                   useful_threads(graph.cgraph(), backends_.n_threads));
    AbortGuard guard(backends_.cpu(), interrupt);
    const ggml_status status = ggml_backend_sched_graph_compute(sched_.get(), graph.cgraph());
    if (status == GGML_STATUS_ABORTED) {
        throw Error(ErrorKind::cancelled, "[engine] stopped by the caller");
    }
    if (status == GGML_STATUS_ALLOC_FAILED) {
        throw Error(ErrorKind::memory, "[engine] expected memory on " + backends_.name() +
                                           "; found " + take_log_error() +
                                           "; lower max_tiles or the context");
    }
    if (status != GGML_STATUS_SUCCESS) {
        throw Error(ErrorKind::device, "[engine] expected " + backends_.name() +
                                           " to compute the graph; found " + take_log_error() +
                                           "; try device=\"cpu\"");
    }
    read_outputs();
}

// ggml's allocator takes a graph with as many nodes as the last one for the same graph. One with
// another number makes it plan anew; its buffers stay.
void Executor::forget_allocation() {
    Graph other(/*max_nodes=*/8);
    other.output(ggml_dup(other.ctx(), other.input(GGML_TYPE_F32, 1)));
    ggml_backend_sched_reserve(sched_.get(), other.cgraph());
}

void Executor::measure(Graph& graph) {
    std::vector<size_t> n_bytes(measured_bytes_.size());
    ggml_backend_sched_reserve_size(sched_.get(), graph.cgraph(), n_bytes.data());
    for (size_t i = 0; i < n_bytes.size(); ++i) {
        measured_bytes_[i] = std::max(measured_bytes_[i], n_bytes[i]);
    }
}

void Executor::observe(Observer observer) {
    std::lock_guard<std::timed_mutex> lock(*mutex_);
    observer_ = std::move(observer);
    set_callback();
}

void Executor::profile(Profile* profile) {
    std::lock_guard<std::timed_mutex> lock(*mutex_);
    profile_ = profile;
    set_callback();
}

void Executor::set_callback() {
    if (profile_ != nullptr) {
        ggml_backend_sched_set_eval_callback(sched_.get(), time_node, profile_);
    } else {
        ggml_backend_sched_set_eval_callback(sched_.get(), observer_ ? show_product : nullptr,
                                             &observer_);
    }
}

size_t Executor::buffer_bytes() const {
    size_t n_bytes = 0;
    for (const ggml_backend_ptr& backend : backends_.all) {
        n_bytes += ggml_backend_sched_get_buffer_size(sched_.get(), backend.get());
    }
    return n_bytes;
}

}  // namespace crispvl
