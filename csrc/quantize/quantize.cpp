#include "quantize/quantize.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "quantize/output_file.h"

namespace crispvl {
namespace {

// Output bytes held at a time; a tensor of any size takes no more.
constexpr size_t kPieceBytes = size_t{64} << 20;

ggml_type wanted_type(const GgufTensor& tensor, const QuantizeJob& job) {
    const auto it = job.types.find(tensor.name);
    return it == job.types.end() ? tensor.type : it->second;
}

int64_t n_rows_of(const GgufTensor& tensor) {
    return tensor.ne[1] * tensor.ne[2] * tensor.ne[3];
}

// A matrix for each expert, or one.
int64_t n_matrices_of(const GgufTensor& tensor) {
    return tensor.ne[2] * tensor.ne[3];
}

// Throws when two parts of a split file hold one tensor.
std::map<std::string, const GgufTensor*> tensors_by_name(const GgufParts& input) {
    std::map<std::string, const GgufTensor*> found;
    for (const auto& part : input) {
        for (const GgufTensor& tensor : part->tensors()) {
            if (found.emplace(tensor.name, &tensor).second) continue;
            throw Error(ErrorKind::model_file,
                        "[quantize] expected each tensor once; found that '" + tensor.name +
                            "' is in two parts, one of them '" + part->path() +
                            "'; download them again, all from one place");
        }
    }
    return found;
}

void check(const GgufParts& input, const QuantizeJob& job) {
    const auto tensors = tensors_by_name(input);
    for (const auto& [name, type] : job.types) {
        const auto found = tensors.find(name);
        if (found == tensors.end()) {
            throw Error(ErrorKind::argument, "[quantize] expected tensors of '" +
                                                 input.front()->path() + "'; found no '" + name +
                                                 "'; correct the name");
        }
        const GgufTensor* it = found->second;
        if (it->ne[0] % ggml_blck_size(type) != 0) {
            throw Error(ErrorKind::argument, "[quantize] expected rows of a multiple of " +
                                                 std::to_string(ggml_blck_size(type)) + " for " +
                                                 ggml_type_name(type) + "; found that '" + name +
                                                 "' has rows of " + std::to_string(it->ne[0]) +
                                                 "; choose a type with smaller blocks");
        }
        const auto importance = job.importance.find(name);
        if (importance != job.importance.end() &&
            importance->second.size() != static_cast<size_t>(it->ne[0] * n_matrices_of(*it))) {
            throw Error(ErrorKind::argument,
                        "[quantize] expected an importance per column of '" + name + "', " +
                            std::to_string(it->ne[0] * n_matrices_of(*it)) + "; found " +
                            std::to_string(importance->second.size()) +
                            "; make the importance matrix with this model");
        }
    }
}

void add_info(gguf_context* gguf, const GgufTensor& tensor, const QuantizeJob& job) {
    ggml_tensor info{};
    info.type = wanted_type(tensor, job);
    ggml_set_name(&info, tensor.name.c_str());
    std::copy(tensor.ne.begin(), tensor.ne.end(), info.ne);
    info.nb[0] = ggml_type_size(info.type);
    info.nb[1] = ggml_row_size(info.type, info.ne[0]);
    info.nb[2] = info.nb[1] * static_cast<size_t>(info.ne[1]);
    info.nb[3] = info.nb[2] * static_cast<size_t>(info.ne[2]);
    gguf_add_tensor(gguf, &info);
}

bool is_dropped(const std::string& key, const QuantizeJob& job) {
    const auto begins = [&](const std::string& prefix) {
        return key.compare(0, prefix.size(), prefix) == 0;
    };
    // The parts become one file.
    return begins("split.") ||
           std::any_of(job.drop_prefixes.begin(), job.drop_prefixes.end(), begins);
}

std::vector<uint8_t> header(const GgufParts& input, const QuantizeJob& job) {
    const GgufFile& first = *input.front();
    gguf_context_ptr gguf(gguf_init_empty());
    gguf_set_kv(gguf.get(), first.raw());
    // Ours is written with the default alignment.
    gguf_remove_key(gguf.get(), GGUF_KEY_GENERAL_ALIGNMENT);
    for (size_t i = 0; i < first.n_keys(); ++i) {
        const std::string key = first.key(i);
        if (is_dropped(key, job)) gguf_remove_key(gguf.get(), key.c_str());
    }
    for (const auto& [key, value] : job.set_keys) {
        if (const auto* text = std::get_if<std::string>(&value)) {
            gguf_set_val_str(gguf.get(), key.c_str(), text->c_str());
        } else {
            gguf_set_val_u32(gguf.get(), key.c_str(), std::get<uint32_t>(value));
        }
    }
    for (const auto& part : input) {
        for (const GgufTensor& tensor : part->tensors()) add_info(gguf.get(), tensor, job);
    }
    std::vector<uint8_t> bytes(gguf_get_meta_size(gguf.get()));
    gguf_get_meta_data(gguf.get(), bytes.data());
    return bytes;
}

void write_tensor(const GgufFile& input, const GgufTensor& tensor, const QuantizeJob& job,
                  OutputFile& out, std::vector<uint8_t>& piece, Interrupt* interrupt) {
    const ggml_type to = wanted_type(tensor, job);
    const size_t from_bytes = ggml_row_size(tensor.type, tensor.ne[0]);
    const size_t to_bytes = ggml_row_size(to, tensor.ne[0]);
    const auto importance = job.importance.find(tensor.name);
    const bool is_weighted = importance != job.importance.end();
    const int64_t n_rows = n_rows_of(tensor);
    const int64_t n_step =
        std::max<int64_t>(1, static_cast<int64_t>(kPieceBytes / std::max<size_t>(to_bytes, 1)));
    for (int64_t first = 0, n = 0; first < n_rows; first += n) {
        input.require_unchanged();
        // Each expert's columns have importances of their own.
        const int64_t i_matrix = first / tensor.ne[1];
        const int64_t end = is_weighted ? (i_matrix + 1) * tensor.ne[1] : n_rows;
        n = std::min(n_step, end - first);
        RowsJob rows{tensor.data + static_cast<size_t>(first) * from_bytes,
                     tensor.type,
                     to,
                     tensor.ne[0],
                     n,
                     is_weighted ? importance->second.data() + i_matrix * tensor.ne[0] : nullptr,
                     tensor.name};
        piece.resize(to_bytes * static_cast<size_t>(rows.n_rows));
        convert_rows(rows, piece.data(), job.n_threads, interrupt);
        out.write(piece.data(), piece.size());
    }
    out.pad(GGUF_DEFAULT_ALIGNMENT);
    // Read once: a file of any size passes through little memory.
    input.mapping().release(tensor.data, tensor.n_bytes);
}

}  // namespace

void quantize_file(const GgufParts& input, const std::string& path, const QuantizeJob& job,
                   const QuantizeProgress& progress, Interrupt* interrupt) {
    for (const auto& part : input) part->require_data();
    check(input, job);
    const std::vector<uint8_t> head = header(input, job);
    uint64_t n_total = 0, n_done = 0;
    const auto n_bytes = [&](const GgufTensor& tensor) {
        return uint64_t{ggml_row_size(wanted_type(tensor, job), tensor.ne[0])} *
               static_cast<uint64_t>(n_rows_of(tensor));
    };
    for (const auto& part : input) {
        for (const GgufTensor& tensor : part->tensors()) n_total += n_bytes(tensor);
    }
    OutputFile out(path);
    out.write(head.data(), head.size());
    std::vector<uint8_t> piece;
    for (const auto& part : input) {
        for (const GgufTensor& tensor : part->tensors()) {
            write_tensor(*part, tensor, job, out, piece, interrupt);
            n_done += n_bytes(tensor);
            if (progress) progress(tensor.name, n_done, n_total);
        }
    }
    out.close();
}

}  // namespace crispvl
