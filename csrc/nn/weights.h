// Binds a model's blocks to its tensors. Blocks take tensors by path and shape; at the end one
// report tells what was missing, misshapen or left over, and the data is placed on the backends.
#pragma once

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "model/source.h"
#include "runtime/device.h"
#include "runtime/tensor_table.h"

namespace crispvl {

class Weights {
public:
    explicit Weights(const ModelSource& source);

    // The tensor `name` of shape `ne` (ggml order, trailing ones left out). Problems are recorded
    // for finish(); what is returned then is a placeholder.
    ggml_tensor* take(const std::string& name, std::initializer_list<int64_t> ne);
    // A second tensor over the same file data, placed beside the layers (a tied head).
    ggml_tensor* take_again(const std::string& name, std::initializer_list<int64_t> ne);
    // Keeps `tensor` in host memory, whatever the device (a table read by rows).
    void keep_on_host(ggml_tensor* tensor) { on_host_.insert(tensor); }

    // Throws one Error{model_file} with every problem, or places the data: on a CPU the file
    // mapping itself serves, elsewhere it is copied. Throws Error{memory}.
    void finish(const Backends& backends);
    // As finish(), but places nothing: graphs over these tensors can be measured, not run.
    void finish_without_data(const Backends& backends);

    size_t n_bytes() const { return n_bytes_; }
    // The part of it in host memory.
    size_t n_host_bytes() const { return n_host_bytes_; }

private:
    ggml_tensor* declare(const std::string& name, const std::vector<int64_t>& ne);
    bool stays_on_host(const Backends& backends, ggml_tensor* tensor) const;
    void count_bytes(const Backends& backends);
    void report_problems() const;
    void map_in_place(const std::vector<ggml_tensor*>& tensors);
    void copy_to(ggml_backend_t backend, const std::vector<ggml_tensor*>& tensors);

    const ModelSource& source_;
    TensorTable ctx_;
    std::map<ggml_tensor*, const GgufTensor*> data_;
    std::set<ggml_tensor*> on_host_;
    std::set<std::string> taken_;
    std::vector<std::string> problems_;
    std::vector<ggml_backend_buffer_ptr> buffers_;
    size_t n_bytes_ = 0, n_host_bytes_ = 0;
};

// A path in the file: Scope{w, "blk.0"} / "attn_q" names "blk.0.attn_q".
class Scope {
public:
    Scope(Weights& weights, std::string path) : weights_(&weights), path_(std::move(path)) {}
    Scope operator/(const std::string& child) const { return {*weights_, path_ + "." + child}; }
    ggml_tensor* weight(std::initializer_list<int64_t> ne) const {
        return weights_->take(path_ + ".weight", ne);
    }
    ggml_tensor* bias(int64_t n) const { return weights_->take(path_ + ".bias", {n}); }
    const std::string& path() const { return path_; }
    Weights& weights() const { return *weights_; }

private:
    Weights* weights_;
    std::string path_;
};

}  // namespace crispvl
