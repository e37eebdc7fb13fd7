#include "nn/cpu/ready_panels.h"

#include <algorithm>

#include "base/parallel.h"

namespace crispvl {

using kernels::kInt8PanelOutputs;

void ReadyPanels::add(const ggml_tensor* weight, int n_threads) {
    if (weight->type != GGML_TYPE_Q8_0) return;
    kernels::AlignedArray<char>& panels = panels_[weight];
    if (panels != nullptr || weight->data == nullptr) return;
    const int64_t n_bytes = kernels::int8_packed_bytes(weight->ne[1], weight->ne[0]);
    panels = kernels::allocate_aligned<char>(static_cast<size_t>(n_bytes));
    run_parallel(n_threads, [&](int i) { pack_panels(weight, panels.get(), i, n_threads); });
}

std::optional<MatrixRows> ReadyPanels::rows_of(const ggml_tensor* weight) const {
    const std::optional<kernels::RowType> type = row_type(weight->type);
    if (!type) return std::nullopt;
    const auto packed = panels_.find(weight);
    if (packed == panels_.end()) {
        return MatrixRows{*type, static_cast<const char*>(weight->data), weight->nb[1],
                          weight->ne[1]};
    }
    const int64_t n_bytes = kernels::int8_panel_bytes(weight->ne[0]) / kInt8PanelOutputs;
    return MatrixRows{kernels::RowType::panels, packed->second.get(), static_cast<size_t>(n_bytes),
                      weight->ne[1]};
}

size_t ReadyPanels::n_bytes() const {
    int64_t n = 0;
    for (const auto& [weight, panels] : panels_) {
        n += kernels::int8_packed_bytes(weight->ne[1], weight->ne[0]);
    }
    return static_cast<size_t>(n);
}

void pack_panels(const ggml_tensor* weight, char* panels, int ith, int nth) {
    const int64_t n_rows = weight->ne[1], n_in = weight->ne[0];
    const int64_t n_panels = (n_rows + kInt8PanelOutputs - 1) / kInt8PanelOutputs;
    for (int64_t i = n_panels * ith / nth; i < n_panels * (ith + 1) / nth; ++i) {
        const int64_t first = i * kInt8PanelOutputs;
        kernels::pack_panel_int8(
            static_cast<const char*>(weight->data) + static_cast<size_t>(first) * weight->nb[1],
            weight->nb[1], std::min(kInt8PanelOutputs, n_rows - first), n_in,
            panels + i * kernels::int8_panel_bytes(n_in));
    }
}

}  // namespace crispvl
