// Two devices for tests, "Copying0" and "Copying1": the CPU's kernels on memory that the host is
// not supposed to read. Weights have to be copied there and results back, as with a graphics card,
// so a model split over them takes every path of one split over real devices.
#include <array>
#include <cstring>
#include <new>
#include <string>

#include "ggml-backend-impl.h"
#include "ggml-cpu.h"

namespace {

constexpr size_t kMemoryBytes = size_t{4} << 30;
constexpr std::align_val_t kAlignment{64};

struct Device {
    std::string name;
    ggml_backend_buffer_type buffer_type;
    ggml_backend_device device;
};
std::array<Device, 2> devices;

Device& of(ggml_backend_dev_t device) {
    return *static_cast<Device*>(device->context);
}

// ---- buffers: host memory behind an interface that says it is none

void free_buffer(ggml_backend_buffer_t buffer) {
    ::operator delete(buffer->context, kAlignment);
}
void* base(ggml_backend_buffer_t buffer) {
    return buffer->context;
}
char* at(const ggml_tensor* tensor, size_t offset) {
    return static_cast<char*>(tensor->data) + offset;
}
void fill(ggml_backend_buffer_t, ggml_tensor* tensor, uint8_t value, size_t offset, size_t n) {
    std::memset(at(tensor, offset), value, n);
}
void set(ggml_backend_buffer_t, ggml_tensor* tensor, const void* data, size_t offset, size_t n) {
    std::memcpy(at(tensor, offset), data, n);
}
void get(ggml_backend_buffer_t, const ggml_tensor* tensor, void* data, size_t offset, size_t n) {
    std::memcpy(data, at(tensor, offset), n);
}
void clear(ggml_backend_buffer_t buffer, uint8_t value) {
    std::memset(buffer->context, value, buffer->size);
}

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t n_bytes) {
    void* memory = ::operator new(n_bytes, kAlignment, std::nothrow);
    if (memory == nullptr) return nullptr;
    ggml_backend_buffer_i interface{};
    interface.free_buffer = free_buffer;
    interface.get_base = base;
    interface.memset_tensor = fill;
    interface.set_tensor = set;
    interface.get_tensor = get;
    interface.clear = clear;
    return ggml_backend_buffer_init(type, interface, memory, n_bytes);
}

// ---- the backend: the CPU's, on these buffers

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) {
    return ggml_backend_graph_compute(static_cast<ggml_backend_t>(backend->context), graph);
}
void free_backend(ggml_backend_t backend) {
    ggml_backend_free(static_cast<ggml_backend_t>(backend->context));
    delete backend;
}

ggml_backend_t start(ggml_backend_dev_t device, const char*) {
    static ggml_guid guid = {0xc0, 0xb1};
    ggml_backend_t cpu = ggml_backend_cpu_init();
    // Threads of several backends that spin for each other would fill a small machine.
    ggml_backend_cpu_set_n_threads(cpu, 1);
    ggml_backend_i interface{};
    interface.get_name = [](ggml_backend_t backend) { return of(backend->device).name.c_str(); };
    interface.free = free_backend;
    interface.graph_compute = compute;
    return new ggml_backend{&guid, interface, device, cpu};
}

bool supports(ggml_backend_dev_t, const ggml_tensor* node) {
    return node->op != GGML_OP_CUSTOM &&
           ggml_backend_dev_supports_op(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU),
                                        node);
}

ggml_backend_device_i device_interface() {
    ggml_backend_device_i i{};
    i.get_name = [](ggml_backend_dev_t device) { return of(device).name.c_str(); };
    i.get_description = [](ggml_backend_dev_t) { return "the CPU on memory of its own"; };
    i.get_memory = [](ggml_backend_dev_t, size_t* free, size_t* total) {
        *free = *total = kMemoryBytes;
    };
    i.get_type = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; };
    i.get_props = [](ggml_backend_dev_t device, ggml_backend_dev_props* props) {
        *props = {};
        props->name = of(device).name.c_str();
        props->memory_free = props->memory_total = kMemoryBytes;
        props->type = GGML_BACKEND_DEVICE_TYPE_GPU;
    };
    i.init_backend = start;
    i.get_buffer_type = [](ggml_backend_dev_t device) { return &of(device).buffer_type; };
    i.supports_op = supports;
    i.supports_buft = [](ggml_backend_dev_t device, ggml_backend_buffer_type_t type) {
        return type == &of(device).buffer_type;
    };
    return i;
}

ggml_backend_reg registry{};

// Registers the devices when the test module is loaded.
const bool registered = [] {
    registry.api_version = GGML_BACKEND_API_VERSION;
    registry.iface.get_name = [](ggml_backend_reg_t) { return "Copying"; };
    registry.iface.get_device_count = [](ggml_backend_reg_t) { return devices.size(); };
    registry.iface.get_device = [](ggml_backend_reg_t, size_t i) { return &devices[i].device; };
    ggml_backend_buffer_type_i buffers{};
    buffers.get_name = [](ggml_backend_buffer_type_t type) {
        return of(type->device).name.c_str();
    };
    buffers.alloc_buffer = allocate;
    buffers.get_alignment = [](ggml_backend_buffer_type_t) {
        return static_cast<size_t>(kAlignment);
    };
    for (size_t i = 0; i < devices.size(); ++i) {
        Device& d = devices[i];
        d.name = "Copying" + std::to_string(i);
        d.device = {device_interface(), &registry, &d};
        d.buffer_type = {buffers, &d.device, nullptr};
    }
    ggml_backend_register(&registry);
    return true;
}();

}  // namespace
