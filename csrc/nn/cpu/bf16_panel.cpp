#include "nn/cpu/bf16_panel.h"

#include <algorithm>

namespace crispvl {
namespace {

void load_row(const WeightRow& row, int64_t d_in, float* values, uint16_t* out) {
    if (row.weight == nullptr) {
        std::fill_n(out, d_in, uint16_t{0});
        return;
    }
    const char* data = static_cast<const char*>(row.weight->data) +
                       static_cast<size_t>(row.i_row) * row.weight->nb[1];
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(data);
    switch (row.weight->type) {
        case GGML_TYPE_BF16:
            std::copy_n(halves, d_in, out);
            return;
        case GGML_TYPE_F16:
            kernels::round_f16(halves, d_in, out);
            return;
        case GGML_TYPE_F32:
            kernels::round_bf16(reinterpret_cast<const float*>(data), d_in, out);
            return;
        default:
            ggml_get_type_traits(row.weight->type)->to_float(data, values, d_in);
            kernels::round_bf16(values, d_in, out);
    }
}

}  // namespace

void load_bf16_panel(const PanelRows& rows, int64_t d_in, char* room, uint16_t* panel) {
    float* values = reinterpret_cast<float*>(room);
    uint16_t* rounded = reinterpret_cast<uint16_t*>(room + d_in * 4);
    uint16_t* out = rounded;
    for (const WeightRow& row : rows) {
        load_row(row, d_in, values, out);
        out += d_in;
    }
    kernels::pack_panel_bf16(rounded, d_in, panel);
}

}  // namespace crispvl
