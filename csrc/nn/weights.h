// Binds a model's blocks to its tensors. Blocks take tensors by path and shape; at the end one
// report tells what was missing, misshapen or left over, and the data is placed on the backends.
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gguf/source.h"
#include "runtime/device.h"
#include "runtime/tensor_table.h"

namespace crispvl {

class Weights {
public:
    explicit Weights(const ModelSource& source);

    // The tensor `name` of shape `ne` (ggml order, trailing ones left out), for the backend
    // Backends::all[i_backend]. Problems are recorded for finish(); what is returned then is a
    // placeholder.
    ggml_tensor* take(const std::string& name, std::initializer_list<int64_t> ne,
                      size_t i_backend = 0);
    // A second tensor over the same file data (a tied head).
    ggml_tensor* take_again(const std::string& name, std::initializer_list<int64_t> ne,
                            size_t i_backend);

    // Throws one Error{model_file} with every problem, or places the data: on a CPU the file
    // mapping itself serves, elsewhere it is copied. Throws Error{memory}.
    void finish(const Backends& backends);
    // As finish(), but places nothing: graphs over these tensors can be measured, not run.
    void finish_without_data(const Backends& backends);

    // Per backend.
    const std::vector<size_t>& n_bytes() const { return n_bytes_; }

private:
    struct Bound {
        const GgufTensor* found;
        size_t i_backend;
    };
    ggml_tensor* declare(const std::string& name, const std::vector<int64_t>& ne, size_t i_backend);
    // The tensors of each backend.
    std::vector<std::vector<ggml_tensor*>> placed(const Backends& backends);
    void report_problems() const;
    void map_in_place(const std::vector<ggml_tensor*>& tensors);
    void copy_to(ggml_backend_t backend, const std::vector<ggml_tensor*>& tensors);

    const ModelSource& source_;
    TensorTable ctx_;
    std::map<ggml_tensor*, Bound> data_;
    std::set<std::string> taken_;
    std::vector<std::string> problems_;
    std::vector<ggml_backend_buffer_ptr> buffers_;
    std::vector<size_t> n_bytes_;
};

// A path in the file and a backend for what is below it: Scope{w, "blk.0"} / "attn_q" names
// "blk.0.attn_q".
class Scope {
public:
    Scope(Weights& weights, std::string path, size_t i_backend = 0)
        : weights_(&weights), path_(std::move(path)), i_backend_(i_backend) {}
    Scope operator/(const std::string& child) const {
        return {*weights_, path_ + "." + child, i_backend_};
    }
    ggml_tensor* weight(std::initializer_list<int64_t> ne) const {
        return weights_->take(path_ + ".weight", ne, i_backend_);
    }
    ggml_tensor* bias(int64_t n) const { return bias({n}); }
    ggml_tensor* bias(std::initializer_list<int64_t> ne) const {
        return weights_->take(path_ + ".bias", ne, i_backend_);
    }
    const std::string& path() const { return path_; }
    Weights& weights() const { return *weights_; }

private:
    Weights* weights_;
    std::string path_;
    size_t i_backend_;
};

}  // namespace crispvl
