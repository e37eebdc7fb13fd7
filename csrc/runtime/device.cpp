#include "runtime/device.h"

#include <algorithm>
#include <cctype>
#include <future>
#include <system_error>
#include <thread>
#include <utility>

#include "base/error.h"
#include "base/log.h"
#include "runtime/cores.h"

#ifndef _WIN32
#include <unistd.h>
#endif

namespace crispvl {
namespace {

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

const char* type_name(ggml_backend_dev_t device) {
    switch (ggml_backend_dev_type(device)) {
        case GGML_BACKEND_DEVICE_TYPE_CPU:
            return "cpu";
        case GGML_BACKEND_DEVICE_TYPE_GPU:
        case GGML_BACKEND_DEVICE_TYPE_IGPU:
            return "gpu";
        default:
            return "accel";
    }
}

bool is_gpu(ggml_backend_dev_t device) {
    return std::string(type_name(device)) == "gpu";
}

std::string known_devices() {
    std::string text;
    for (const DeviceInfo& device : list_devices())
        text += (text.empty() ? "" : ", ") + device.name;
    return text;
}

// What to do where a device is not there: its backend may be built in and find no driver.
std::string remedy(const std::string& name) {
    for (const std::string& backend : backend_names()) {
        if (name.compare(0, backend.size(), lower(backend)) == 0) {
            return backend + " is built in but offers no such device: check its driver or use ";
        }
    }
    return "install a build of crispvl with that backend or use ";
}

// "cuda:1" and ggml's own "CUDA1" name the same device; "cuda" is the first one.
ggml_backend_dev_t find_device(const std::string& wanted) {
    std::string name = lower(wanted);
    name.erase(std::remove(name.begin(), name.end(), ':'), name.end());
    ggml_backend_dev_t first_of_kind = nullptr;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        if (lower(ggml_backend_dev_name(device)) == name) return device;
        const std::string kind = lower(ggml_backend_reg_name(ggml_backend_dev_backend_reg(device)));
        const bool matches = kind == name || (name == "metal" && kind == "mtl");
        if (matches && first_of_kind == nullptr) first_of_kind = device;
    }
    if (first_of_kind != nullptr) return first_of_kind;
    throw Error(ErrorKind::device, "[device] expected one of: auto, " + lower(known_devices()) +
                                       "; found '" + wanted + "'; " + remedy(name) +
                                       "device=\"cpu\"");
}

ggml_backend_dev_t choose_device(const std::string& wanted) {
    if (lower(wanted) == "cpu") return nullptr;
    if (lower(wanted) != "auto") {
        ggml_backend_dev_t device = find_device(wanted);
        return is_gpu(device) ? device : nullptr;
    }
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        if (is_gpu(ggml_backend_dev_get(i))) return ggml_backend_dev_get(i);
    }
    return nullptr;
}

// Null means the CPU.
std::vector<ggml_backend_dev_t> choose_devices(const std::vector<std::string>& wanted) {
    std::vector<ggml_backend_dev_t> chosen;
    for (const std::string& name : wanted) {
        ggml_backend_dev_t device = choose_device(name);
        if (std::find(chosen.begin(), chosen.end(), device) != chosen.end()) {
            throw Error(ErrorKind::argument, "[device] expected each device once; found '" + name +
                                                 "' again under another name; name it once");
        }
        chosen.push_back(device);
    }
    return chosen;
}

// Threads that wait for its end.
struct IdleThreads {
    ~IdleThreads() {
        end.set_value();
        for (std::thread& thread : threads) thread.join();
    }
    std::promise<void> end;
    std::vector<std::thread> threads;
};

// Starts the threads of a pool of `n`, the caller being one, and ends them again: where the system
// gives fewer, ggml would end the process.
void require_threads(int n) {
    IdleThreads idle;
    const std::shared_future<void> end = idle.end.get_future().share();
    try {
        for (int i = 1; i < n; ++i) idle.threads.emplace_back([end] { end.wait(); });
    } catch (const std::system_error& error) {
        throw Error(ErrorKind::device, "[device] expected " + std::to_string(n) +
                                           " threads; found that the system starts " +
                                           std::to_string(idle.threads.size() + 1) + " (" +
                                           error.what() +
                                           "); lower threads or raise the process's limits");
    }
}

}  // namespace

std::vector<DeviceInfo> list_devices() {
    install_log_sink();
    std::vector<DeviceInfo> devices;
    for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
        ggml_backend_dev_t device = ggml_backend_dev_get(i);
        DeviceInfo info{ggml_backend_dev_name(device), ggml_backend_dev_description(device),
                        type_name(device), 0, 0};
        ggml_backend_dev_memory(device, &info.memory_free_bytes, &info.memory_total_bytes);
        devices.push_back(std::move(info));
    }
    return devices;
}

std::vector<std::string> cpu_features() {
    install_log_sink();
    std::vector<std::string> names;
    ggml_backend_reg_t reg = ggml_backend_reg_by_name("CPU");
    if (reg == nullptr) return names;
    const auto get_features = reinterpret_cast<ggml_backend_get_features_t>(
        ggml_backend_reg_get_proc_address(reg, "ggml_backend_get_features"));
    if (get_features == nullptr) return names;
    for (ggml_backend_feature* f = get_features(reg); f->name != nullptr; ++f) {
        if (std::string(f->value) == "1") names.emplace_back(f->name);
    }
    return names;
}

std::vector<std::string> backend_names() {
    install_log_sink();
    std::vector<std::string> names;
    for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
        names.emplace_back(ggml_backend_reg_name(ggml_backend_reg_get(i)));
    }
    return names;
}

int current_process() {
#ifdef _WIN32
    return 0;  // no forks
#else
    return static_cast<int>(::getpid());
#endif
}

Backends::Backends(const std::vector<std::string>& devices, int wanted_threads)
    : n_threads(wanted_threads == 0 ? usable_cores() : wanted_threads) {
    install_log_sink();
    if (n_threads < 1 || n_threads > GGML_MAX_N_THREADS) {
        throw Error(ErrorKind::argument, "[device] expected 1 to " +
                                             std::to_string(GGML_MAX_N_THREADS) +
                                             " threads; found " + std::to_string(n_threads) +
                                             "; leave threads out for one per core");
    }
    const std::vector<ggml_backend_dev_t> chosen = choose_devices(devices);
    for (ggml_backend_dev_t device : chosen) {
        if (device == nullptr) continue;
        ggml_backend_ptr backend(ggml_backend_dev_init(device, nullptr));
        if (!backend) {
            throw Error(ErrorKind::device, std::string("[device] expected '") +
                                               ggml_backend_dev_name(device) +
                                               "' to start; found " + take_log_error() +
                                               "; check the driver or use "
                                               "device=\"cpu\"");
        }
        all.push_back(std::move(backend));
    }
    size_t i = 0;
    for (ggml_backend_dev_t device : chosen) places.push_back(device ? i++ : all.size());
    all.push_back(start_cpu());
}

ggml_backend_ptr Backends::start_cpu() {
    ggml_backend_ptr cpu_backend(ggml_backend_cpu_init());
    if (!cpu_backend)
        throw Error(ErrorKind::memory,
                    "[device] expected memory for the CPU backend; found none; free memory");
    require_threads(n_threads);
    ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
    params.poll = 1;  // between graphs threads look for work for a few ms, then sleep
    pool = {ggml_threadpool_new(&params), ThreadPoolDeleter{}};
    if (!pool)
        throw Error(ErrorKind::memory,
                    "[device] expected to start the worker threads; found that the system starts "
                    "none; lower threads");
    ggml_backend_cpu_set_n_threads(cpu_backend.get(), n_threads);
    ggml_backend_cpu_set_threadpool(cpu_backend.get(), pool.get());
    return cpu_backend;
}

void Backends::renew_after_fork() {
    if (!on_cpu()) {
        throw Error(ErrorKind::device,
                    "[device] expected the process that loaded the model; found "
                    "a fork of it, where " +
                        name() +
                        " cannot be used; load the model in the new process or "
                        "start it with 'spawn'");
    }
    all.back().release();
    all.back() = start_cpu();
}

}  // namespace crispvl
