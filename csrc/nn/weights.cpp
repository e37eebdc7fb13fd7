#include "nn/weights.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"

namespace crispvl {
namespace {

std::string shape_text(const std::vector<int64_t>& ne) {
    std::string text = "[";
    for (size_t i = 0; i < ne.size(); ++i) text += (i ? ", " : "") + std::to_string(ne[i]);
    return text + "]";
}

std::vector<int64_t> trimmed(const std::array<int64_t, 4>& ne) {
    std::vector<int64_t> shape(ne.begin(), ne.end());
    while (shape.size() > 1 && shape.back() == 1) shape.pop_back();
    return shape;
}

int64_t n_elements(const std::vector<int64_t>& ne) {
    int64_t n = 1;
    for (const int64_t d : ne) n *= d;
    return n;
}

// Foreign writers keep or drop unit dimensions and fold the patch kernel differently; the bytes are
// the same as long as the element count and, for quantised rows, the row length agree.
bool same_data(const GgufTensor& tensor, const std::vector<int64_t>& ne) {
    if (n_elements(trimmed(tensor.ne)) != n_elements(ne)) return false;
    if (trimmed(tensor.ne) == ne) return true;
    const bool unit_only = [&] {
        std::vector<int64_t> found(tensor.ne.begin(), tensor.ne.end());
        found.erase(std::remove(found.begin(), found.end(), 1), found.end());
        std::vector<int64_t> wanted = ne;
        wanted.erase(std::remove(wanted.begin(), wanted.end(), 1), wanted.end());
        return found == wanted;
    }();
    const bool folded_kernel = ggml_blck_size(tensor.type) == 1 && ne.size() == 2 &&
                               tensor.ne[3] == ne[1] && tensor.ne[2] == 3;
    return unit_only || folded_kernel;
}

}  // namespace

Weights::Weights(const ModelSource& source)
    : source_(source), ctx_((2 * source.tensors().size() + 64) * ggml_tensor_overhead()) {}

ggml_tensor* Weights::declare(const std::string& name, const std::vector<int64_t>& ne,
                              size_t i_backend) {
    const auto it = source_.tensors().find(name);
    if (it == source_.tensors().end()) {
        problems_.push_back("'" + name + "' " + shape_text(ne) + " is missing");
        return nullptr;
    }
    const GgufTensor& found = it->second;
    taken_.insert(name);
    if (!same_data(found, ne)) {
        problems_.push_back("'" + name + "': expected " + shape_text(ne) + "; found " +
                            shape_text(trimmed(found.ne)));
        return nullptr;
    }
    if (!is_readable_type(found.type)) {
        problems_.push_back("'" + name + "': expected a type of weights, such as f16; found " +
                            ggml_type_name(found.type));
        return nullptr;
    }
    // What is added or scales, biases of experts among them.
    const bool is_bias = name.size() > 5 && name.compare(name.size() - 5, 5, ".bias") == 0;
    if ((ne.size() == 1 || is_bias) && found.type != GGML_TYPE_F32) {
        problems_.push_back("'" + name + "': expected f32; found " + ggml_type_name(found.type));
        return nullptr;
    }
    ggml_tensor* tensor =
        ggml_new_tensor(ctx_.get(), found.type, static_cast<int>(ne.size()), ne.data());
    ggml_set_name(tensor, name.c_str());
    data_[tensor] = {&found, i_backend};
    return tensor;
}

ggml_tensor* Weights::take(const std::string& name, std::initializer_list<int64_t> ne,
                           size_t i_backend) {
    if (taken_.count(name) != 0) {
        throw Error(ErrorKind::internal,
                    "[weights] expected '" + name +
                        "' to be taken once; found it taken twice; please report it");
    }
    return declare(name, ne, i_backend);
}

ggml_tensor* Weights::take_again(const std::string& name, std::initializer_list<int64_t> ne,
                                 size_t i_backend) {
    return declare(name, ne, i_backend);
}

void Weights::report_problems() const {
    std::vector<std::string> problems = problems_;
    for (const auto& [name, tensor] : source_.tensors()) {
        if (taken_.count(name) == 0) problems.push_back("'" + name + "' is unknown");
    }
    if (problems.empty()) return;
    constexpr size_t kShown = 12;
    std::string text = "[weights] expected the tensors that the configuration of " +
                       source_.describe() + " asks for; found that " +
                       std::to_string(problems.size()) + " do not fit:";
    for (size_t i = 0; i < std::min(problems.size(), kShown); ++i) text += "\n  " + problems[i];
    if (problems.size() > kShown) {
        text += "\n  and " + std::to_string(problems.size() - kShown) + " more";
    }
    throw Error(ErrorKind::model_file, text + ";\nconvert the checkpoint again");
}

std::vector<std::vector<ggml_tensor*>> Weights::placed(const Backends& backends) {
    std::vector<std::vector<ggml_tensor*>> tensors(backends.all.size());
    n_bytes_.assign(backends.all.size(), 0);
    for (const auto& [tensor, bound] : data_) {
        tensors[bound.i_backend].push_back(tensor);
        n_bytes_[bound.i_backend] += bound.found->n_bytes;
    }
    return tensors;
}

void Weights::finish_without_data(const Backends& backends) {
    report_problems();
    const auto tensors = placed(backends);
    for (size_t i = 0; i < tensors.size(); ++i) {
        // An empty buffer tells the scheduler where the tensors would be.
        buffers_.emplace_back(ggml_backend_buft_alloc_buffer(
            ggml_backend_get_default_buffer_type(backends.all[i].get()), 0));
        ggml_backend_buffer_set_usage(buffers_.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
        for (ggml_tensor* tensor : tensors[i]) tensor->buffer = buffers_.back().get();
    }
}

void Weights::finish(const Backends& backends) {
    report_problems();
    const auto tensors = placed(backends);
    for (size_t i = 0; i < backends.i_cpu(); ++i) {
        if (!tensors[i].empty()) copy_to(backends.all[i].get(), tensors[i]);
    }
    map_in_place(tensors.back());
}

void Weights::map_in_place(const std::vector<ggml_tensor*>& tensors) {
    for (const auto& file : source_.files()) {
        uint8_t* base = const_cast<uint8_t*>(file->mapping().data());
        const uint8_t* end = base + file->mapping().size();
        ggml_backend_buffer_ptr buffer(
            ggml_backend_cpu_buffer_from_ptr(base, file->mapping().size()));
        if (!buffer)
            throw Error(ErrorKind::memory,
                        "[weights] expected memory for a buffer; found none; free memory");
        ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
        for (ggml_tensor* tensor : tensors) {
            const uint8_t* data = data_.at(tensor).found->data;
            if (data < base || data >= end) continue;
            if (ggml_backend_tensor_alloc(buffer.get(), tensor, const_cast<uint8_t*>(data)) !=
                GGML_STATUS_SUCCESS) {
                throw Error(
                    ErrorKind::memory,
                    "[weights] expected to bind the tensors; found that it failed; free memory");
            }
        }
        buffers_.push_back(std::move(buffer));
    }
}

void Weights::copy_to(ggml_backend_t backend, const std::vector<ggml_tensor*>& tensors) {
    ggml_backend_buffer_type_t type = ggml_backend_get_default_buffer_type(backend);
    const size_t alignment = ggml_backend_buft_get_alignment(type);
    size_t n_bytes = 0;
    for (const ggml_tensor* tensor : tensors) {
        n_bytes += GGML_PAD(ggml_backend_buft_get_alloc_size(type, tensor), alignment);
    }
    ggml_backend_buffer_ptr buffer(ggml_backend_buft_alloc_buffer(type, n_bytes));
    if (!buffer) {
        throw Error(ErrorKind::memory, "[weights] expected " + std::to_string(n_bytes >> 20) +
                                           " MiB on " + ggml_backend_name(backend) + "; found " +
                                           take_log_error() +
                                           "; use a smaller quantisation or device=\"cpu\"");
    }
    ggml_backend_buffer_set_usage(buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    uint8_t* base = static_cast<uint8_t*>(ggml_backend_buffer_get_base(buffer.get()));
    size_t offset = 0;
    for (ggml_tensor* tensor : tensors) {
        ggml_backend_tensor_alloc(buffer.get(), tensor, base + offset);
        const GgufTensor& found = *data_.at(tensor).found;
        ggml_backend_tensor_set(tensor, found.data, 0, found.n_bytes);
        offset += GGML_PAD(ggml_backend_buft_get_alloc_size(type, tensor), alignment);
    }
    buffers_.push_back(std::move(buffer));
}

}  // namespace crispvl
