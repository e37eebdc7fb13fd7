// Devices that ggml was built with, and the backends a model runs on.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ggml-cpp.h"
#include "ggml-cpu.h"

namespace crispvl {

struct DeviceInfo {
    std::string name, description, type;  // type: "cpu", "gpu", "accel"
    size_t memory_free_bytes, memory_total_bytes;
};

std::vector<DeviceInfo> list_devices();

// Names of the CPU features that ggml's kernels use on this machine, e.g. "AVX512_BF16".
std::vector<std::string> cpu_features();
std::vector<std::string> backend_names();

// A number that differs between a process and its forks.
int current_process();

// A pool belongs to the process that started its threads; a fork has none of them to join.
struct ThreadPoolDeleter {
    void operator()(ggml_threadpool* pool) const {
        if (process == current_process()) ggml_threadpool_free(pool);
    }
    int process = current_process();
};

// The backends of one model, in order of preference; the CPU is last.
struct Backends {
    // `devices`, each once: "auto", "cpu", or a device's name or kind ("cuda", "cuda:1", "metal",
    // "vulkan"). `n_threads` 0 means usable_cores(). Throws Error{device, argument}.
    Backends(const std::vector<std::string>& devices, int n_threads);

    ggml_backend_t preferred() const { return all.front().get(); }
    ggml_backend_t cpu() const { return all.back().get(); }
    bool on_cpu() const { return all.size() == 1; }
    size_t i_cpu() const { return all.size() - 1; }
    // Gives a forked process a CPU backend with threads of its own. Throws Error{device} when there
    // is another backend: a GPU's state does not survive a fork.
    void renew_after_fork();
    std::string name() const { return ggml_backend_name(preferred()); }

    int n_threads;
    // The pool's threads outlive every graph: starting threads per graph would cost each token.
    std::unique_ptr<ggml_threadpool, ThreadPoolDeleter> pool;
    std::vector<ggml_backend_ptr> all;
    std::vector<size_t> places;  // in `all`, of the devices asked for

private:
    ggml_backend_ptr start_cpu();
};

}  // namespace crispvl
