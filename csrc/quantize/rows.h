// Rows of numbers from one ggml type to another, on several threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/interrupt.h"
#include "ggml.h"

namespace crispvl {

// The type that ggml_type_name() calls `name`, upper and lower case alike. Throws Error{argument}.
ggml_type type_of_name(std::string_view name);

// Types that convert_rows() can make.
bool is_writable_type(ggml_type type);

struct RowsJob {
    const uint8_t* data;  // n_rows rows of type `from`
    ggml_type from, to;
    int64_t n_cols, n_rows;
    const float* importance;  // [n_cols], mean squared activation of each column, or null
    std::string name;         // of the tensor, for messages
};

// Converts into `out` (n_rows rows of type `to`). Equal types are copied bit by bit. Throws
// Error{argument} for a type or a row length that cannot be, Error{model_file} for numbers that are
// not finite or that the type cannot hold, Error{cancelled}.
void convert_rows(const RowsJob& job, uint8_t* out, int n_threads, Interrupt* interrupt);

}  // namespace crispvl
