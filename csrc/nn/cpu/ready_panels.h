// The matrices of a decoder as our 8-bit kernels read them: rows as the file has them, or panels
// laid out beforehand, which need not be unpacked at every step.
#pragma once

#include <map>
#include <optional>

#include "kernels/simd/aligned.h"
#include "nn/cpu/operand.h"

namespace crispvl {

// Where the kernels find the rows of a matrix.
struct MatrixRows {
    kernels::RowType type;
    const char* data;
    size_t row_bytes;
    int64_t n;

    const char* from(int64_t i_row) const { return data + static_cast<size_t>(i_row) * row_bytes; }
};

// Copies in panels of those matrices that they were made for.
class ReadyPanels {
public:
    // Makes a copy where the weight is Q8_0. Throws std::bad_alloc.
    void add(const ggml_tensor* weight, int n_threads);
    // None where the kernels do not read the weight.
    std::optional<MatrixRows> rows_of(const ggml_tensor* weight) const;
    size_t n_bytes() const;

private:
    std::map<const ggml_tensor*, kernels::AlignedArray<char>> panels_;  // null: only measured
};

// Packs the share of thread `ith` of `nth` of a Q8_0 matrix.
void pack_panels(const ggml_tensor* weight, char* panels, int ith, int nth);

}  // namespace crispvl
