// Rows of weights of any type as a panel of the BF16 kernels.
#pragma once

#include <array>

#include "ggml.h"
#include "kernels/bf16/kernels.h"

namespace crispvl {

struct WeightRow {
    const ggml_tensor* weight;  // null: a row of zeros
    int64_t i_row;
};
using PanelRows = std::array<WeightRow, kernels::kPanelWidth>;

// Bytes of working memory that load_bf16_panel takes for rows of `d_in`.
constexpr int64_t bf16_panel_room(int64_t d_in) {
    return d_in * 4 + kernels::kPanelWidth * d_in * 2;  // a row in F32, all rows in BF16
}

// Rounds and packs rows of `d_in` inputs, an even number.
void load_bf16_panel(const PanelRows& rows, int64_t d_in, char* room, uint16_t* panel);

}  // namespace crispvl
