// A GGUF file, or the parts of a split one, to one file with tensors of other types: keys, names
// and order stay, tensors are read, converted and written one after the other.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "gguf/parts.h"
#include "quantize/rows.h"

namespace crispvl {

struct QuantizeJob {
    // Tensors to write in another type; the others are copied.
    std::map<std::string, ggml_type> types;
    // Per tensor and input column, see RowsJob.
    std::map<std::string, std::vector<float>> importance;
    // Keys to set, and prefixes of keys to leave out.
    std::map<std::string, std::variant<uint32_t, std::string>> set_keys;
    std::vector<std::string> drop_prefixes;
    int n_threads;
};

// Called after each tensor with its name and the output's bytes so far and in total.
using QuantizeProgress =
    std::function<void(const std::string& name, uint64_t n_done, uint64_t n_total)>;

// Writes `path`; on an error what there is of it stays. Throws Error{argument, not_found,
// model_file, cancelled}.
void quantize_file(const GgufParts& input, const std::string& path, const QuantizeJob& job,
                   const QuantizeProgress& progress, Interrupt* interrupt);

}  // namespace crispvl
