// Where the time of graphs goes, by kind of operation.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "ggml.h"

namespace crispvl {

class Profile {
public:
    struct Entry {
        int64_t n_calls = 0;
        double seconds = 0;
    };

    // Around one node's computation.
    void begin() { begun_ = Clock::now(); }
    void end(const ggml_tensor& node) {
        Entry& entry = entries_[kind(node)];
        ++entry.n_calls;
        entry.seconds += std::chrono::duration<double>(Clock::now() - begun_).count();
    }

    // By ggml's name of the operation, or the label of one of ours (Graph::custom).
    const std::map<std::string, Entry>& entries() const { return entries_; }

private:
    using Clock = std::chrono::steady_clock;
    static std::string kind(const ggml_tensor& node) {
        return node.op == GGML_OP_CUSTOM ? node.name : ggml_op_desc(&node);
    }
    std::map<std::string, Entry> entries_;
    Clock::time_point begun_;
};

}  // namespace crispvl
