#include "quantize/rows.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>

#include "base/error.h"
#include "base/log.h"
#include "base/parallel.h"
#include "gguf/gguf_file.h"

namespace crispvl {
namespace {

// Floats that one thread holds at a time: a block of rows stays in its cache.
constexpr int64_t kBlockFloats = int64_t{1} << 17;

bool same_letters(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
        return std::tolower(x) == std::tolower(y);
    });
}

void to_float(ggml_type type, const uint8_t* row, float* out, int64_t n) {
    if (type == GGML_TYPE_F32) {
        std::memcpy(out, row, static_cast<size_t>(n) * sizeof(float));
    } else {
        ggml_get_type_traits(type)->to_float(row, out, n);
    }
}

void check(const RowsJob& job) {
    const std::string name = "'" + job.name + "'";
    if (!is_readable_type(job.from) || !is_writable_type(job.to)) {
        throw Error(ErrorKind::argument, "[quantize] expected types of weights for " + name +
                                             "; found " + ggml_type_name(job.from) + " to " +
                                             ggml_type_name(job.to) + "; choose another type");
    }
    for (const ggml_type type : {job.from, job.to}) {
        if (job.n_cols < 1 || job.n_cols % ggml_blck_size(type) != 0) {
            throw Error(ErrorKind::argument, "[quantize] expected rows of a multiple of " +
                                                 std::to_string(ggml_blck_size(type)) + " for " +
                                                 ggml_type_name(type) + "; found that " + name +
                                                 " has rows of " + std::to_string(job.n_cols) +
                                                 "; choose a type with smaller blocks");
        }
    }
    if (ggml_quantize_requires_imatrix(job.to) && job.importance == nullptr) {
        throw Error(ErrorKind::argument,
                    std::string("[quantize] expected an importance matrix for ") +
                        ggml_type_name(job.to) + "; found none for " + name +
                        "; make one with 'crispvl imatrix' or choose a larger type");
    }
    // ggml's searches abort the process on what is no number.
    for (int64_t i = 0; job.importance != nullptr && i < job.n_cols; ++i) {
        if (!std::isfinite(job.importance[i]) || job.importance[i] < 0) {
            throw Error(ErrorKind::argument, "[quantize] expected importances of 0 or more for " +
                                                 name + "; found that column " + std::to_string(i) +
                                                 " has " + std::to_string(job.importance[i]) +
                                                 "; make the importance matrix again");
        }
    }
}

void convert_block(const RowsJob& job, int64_t first, int64_t n_rows, std::vector<float>& values,
                   uint8_t* out) {
    const size_t from_bytes = ggml_row_size(job.from, job.n_cols);
    const size_t to_bytes = ggml_row_size(job.to, job.n_cols);
    values.resize(static_cast<size_t>(n_rows * job.n_cols));
    for (int64_t i = 0; i < n_rows; ++i) {
        to_float(job.from, job.data + static_cast<size_t>(first + i) * from_bytes,
                 values.data() + i * job.n_cols, job.n_cols);
    }
    const auto bad = std::find_if(values.begin(), values.end(),
                                  [](float value) { return !std::isfinite(value); });
    if (bad != values.end()) {
        throw Error(ErrorKind::model_file,
                    "[quantize] expected finite numbers; found that row " +
                        std::to_string(first + (bad - values.begin()) / job.n_cols) + " of '" +
                        job.name +
                        "' has one that is not; convert the checkpoint again, with "
                        "bf16 where values are beyond f16");
    }
    uint8_t* to = out + static_cast<size_t>(first) * to_bytes;
    ggml_quantize_chunk(job.to, values.data(), to, 0, n_rows, job.n_cols, job.importance);
    if (!ggml_validate_row_data(job.to, to, to_bytes * static_cast<size_t>(n_rows))) {
        take_log_error();
        throw Error(ErrorKind::model_file, "[quantize] expected values of '" + job.name +
                                               "' within the range of " + ggml_type_name(job.to) +
                                               "; found some beyond it; keep it in bf16 or f32");
    }
}

// The blocks of one job, handed to threads in order; the first error stops all.
class Blocks {
public:
    Blocks(const RowsJob& job, uint8_t* out)
        : job_(job), out_(out), n_block_(std::max<int64_t>(1, kBlockFloats / job.n_cols)) {}

    // `interrupt` belongs to the calling thread and is null on the others.
    void work(Interrupt* interrupt) noexcept {
        std::vector<float> values;
        try {
            for (int64_t first = next_.fetch_add(n_block_); first < job_.n_rows;
                 first = next_.fetch_add(n_block_)) {
                if (stopped_.load()) return;
                throw_if_requested(interrupt);
                convert_block(job_, first, std::min(n_block_, job_.n_rows - first), values, out_);
            }
        } catch (...) {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (!error_) error_ = std::current_exception();
            stopped_.store(true);
        }
    }

    int64_t n_blocks() const { return (job_.n_rows + n_block_ - 1) / n_block_; }
    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

private:
    const RowsJob& job_;
    uint8_t* out_;
    const int64_t n_block_;
    std::atomic<int64_t> next_{0};
    std::atomic<bool> stopped_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
};

}  // namespace

ggml_type type_of_name(std::string_view name) {
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        const char* known = ggml_type_name(type);
        if (known != nullptr && *known != '\0' && same_letters(name, known)) return type;
    }
    throw Error(ErrorKind::argument, "[quantize] expected a tensor type such as q8_0; found '" +
                                         std::string(name) + "'; see 'crispvl quantize --help'");
}

bool is_writable_type(ggml_type type) {
    switch (type) {
        case GGML_TYPE_F32:
        case GGML_TYPE_F16:
        case GGML_TYPE_BF16:
            return true;
        case GGML_TYPE_Q8_1:  // what kernels make of activations, not types of weights
        case GGML_TYPE_Q8_K:
            return false;
        default:
            return ggml_is_quantized(type);
    }
}

void convert_rows(const RowsJob& job, uint8_t* out, int n_threads, Interrupt* interrupt) {
    if (job.from == job.to) {
        throw_if_requested(interrupt);
        std::memcpy(out, job.data,
                    ggml_row_size(job.from, job.n_cols) * static_cast<size_t>(job.n_rows));
        return;
    }
    install_log_sink();
    check(job);
    Blocks blocks(job, out);
    const int64_t n_shares = std::min<int64_t>(n_threads, blocks.n_blocks());
    // The calling thread has share 0 and asks the interrupt for all.
    run_parallel(static_cast<int>(n_shares),
                 [&](int i) { blocks.work(i == 0 ? interrupt : nullptr); });
    blocks.rethrow();
}

}  // namespace crispvl
