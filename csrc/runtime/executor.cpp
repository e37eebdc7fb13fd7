#include "runtime/executor.h"

#include <algorithm>
#include <mutex>
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

Executor::Executor(Backends& backends, size_t max_nodes, int n_lanes, std::function<void()> check)
    : backends_(backends),
      max_nodes_(max_nodes),
      check_(std::move(check)),
      n_lanes_(n_lanes),
      turns_(std::make_unique<Turns>(n_lanes)),
      all_(std::make_unique<Lane>(make_lane(/*is_narrow=*/false))),
      lanes_(static_cast<size_t>(n_lanes)),
      process_(current_process()) {}

Executor::Lane Executor::make_lane(bool is_narrow) const {
    Lane lane{nullptr, backends_.cpu(), nullptr};
    std::vector<ggml_backend_t> backends;
    if (is_narrow) {
        lane.own_cpu.reset(ggml_backend_cpu_init());
        lane.cpu = lane.own_cpu.get();
        if (lane.cpu != nullptr) ggml_backend_cpu_set_n_threads(lane.cpu, 1);
        backends = {lane.cpu};
    } else {
        for (const ggml_backend_ptr& backend : backends_.all) backends.push_back(backend.get());
    }
    if (lane.cpu != nullptr) {
        lane.sched.reset(ggml_backend_sched_new(backends.data(), nullptr,
                                                static_cast<int>(backends.size()), max_nodes_,
                                                /*parallel=*/false, /*op_offload=*/true));
    }
    if (lane.sched) return lane;
    throw Error(ErrorKind::memory,
                "[engine] expected memory for the graph scheduler; found none; free memory");
}

Executor::Lane& Executor::lane_of(const Turns::Turn& turn) {
    if (turn.has_all_threads()) return *all_;
    std::unique_ptr<Lane>& lane = lanes_[turn.i_lane()];
    if (!lane) lane = std::make_unique<Lane>(make_lane(/*is_narrow=*/true));
    return *lane;
}

// The threads of the pool are not in the child, and a mutex may be held by one that is not. What
// cannot be freed without them stays: pages that the child shares with its parent.
void Executor::renew_after_fork() {
    static std::mutex renewing;
    std::lock_guard<std::mutex> lock(renewing);
    if (process_ == current_process()) return;
    backends_.renew_after_fork();
    all_.release();
    all_ = std::make_unique<Lane>(make_lane(/*is_narrow=*/false));
    set_callback();
    for (std::unique_ptr<Lane>& lane : lanes_) lane.release();
    turns_.release();
    turns_ = std::make_unique<Turns>(n_lanes_);
    process_ = current_process();
}

void Executor::run(Graph& graph, const std::function<void()>& set_inputs,
                   const std::function<void()>& read_outputs, Interrupt* interrupt) {
    if (process_ != current_process()) renew_after_fork();
    const bool is_alone = is_watched_ || !measured_bytes_.empty();
    const Turns::Turn turn = turns_->take(is_alone, interrupt);
    throw_if_requested(interrupt);
    check_();
    if (!measured_bytes_.empty()) return measure(graph);
    Lane& lane = lane_of(turn);
    allocate(lane, graph);
    graph.set_constants();
    set_inputs();
    compute(lane, graph, interrupt);
    read_outputs();
}

void Executor::allocate(Lane& lane, Graph& graph) const {
    if (const uint64_t found = signature(graph.cgraph()); found != lane.allocated) {
        lane.forget_allocation();
        lane.allocated = found;
    }
    ggml_backend_sched_reset(lane.sched.get());
    if (ggml_backend_sched_alloc_graph(lane.sched.get(), graph.cgraph())) return;
    lane.allocated = 0;  // what there is of a plan is incomplete
    throw Error(ErrorKind::memory, "[engine] expected memory for the compute buffers; found " +
                                       take_log_error() +
                                       "; lower max_tiles or the context, or close other models");
}

void Executor::compute(Lane& lane, Graph& graph, Interrupt* interrupt) const {
    if (!lane.own_cpu) {
        ggml_backend_cpu_set_n_threads(lane.cpu,
                                       useful_threads(graph.cgraph(), backends_.n_threads));
    }
    AbortGuard guard(lane.cpu, interrupt);
    const ggml_status status = ggml_backend_sched_graph_compute(lane.sched.get(), graph.cgraph());
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
}

// ggml's allocator takes a graph with as many nodes as the last one for the same graph. One with
// another number makes it plan anew; its buffers stay.
void Executor::Lane::forget_allocation() {
    Graph other(/*max_nodes=*/8);
    other.output(ggml_dup(other.ctx(), other.input(GGML_TYPE_F32, 1)));
    ggml_backend_sched_reserve(sched.get(), other.cgraph());
}

void Executor::measure(Graph& graph) {
    std::vector<size_t> n_bytes(measured_bytes_.size());
    ggml_backend_sched_reserve_size(all_->sched.get(), graph.cgraph(), n_bytes.data());
    for (size_t i = 0; i < n_bytes.size(); ++i) {
        measured_bytes_[i] = std::max(measured_bytes_[i], n_bytes[i]);
    }
}

void Executor::observe(Observer observer) {
    const Turns::Turn turn = turns_->take(/*alone=*/true, nullptr);
    observer_ = std::move(observer);
    set_callback();
}

void Executor::profile(Profile* profile) {
    const Turns::Turn turn = turns_->take(/*alone=*/true, nullptr);
    profile_ = profile;
    set_callback();
}

void Executor::set_callback() {
    is_watched_ = profile_ != nullptr || observer_;
    if (profile_ != nullptr) {
        ggml_backend_sched_set_eval_callback(all_->sched.get(), time_node, profile_);
    } else {
        ggml_backend_sched_set_eval_callback(all_->sched.get(), observer_ ? show_product : nullptr,
                                             &observer_);
    }
}

}  // namespace crispvl
