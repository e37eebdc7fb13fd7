#include "quantize/importance.h"

#include "base/error.h"

namespace crispvl {

ImportanceCollector::ImportanceCollector(std::shared_ptr<const Model> model)
    : model_(std::move(model)) {
    if (!model_->is_exact()) {
        throw Error(ErrorKind::argument,
                    "[imatrix] expected a model loaded with exact=True; found one whose kernels "
                    "hide what meets its matrices; load it again with exact=True");
    }
    model_->executor().observe([this](const ggml_tensor& product) { add(product); });
}

ImportanceCollector::~ImportanceCollector() {
    stop();
}

void ImportanceCollector::stop() {
    model_->executor().observe(nullptr);
}

void ImportanceCollector::add(const ggml_tensor& product) {
    const ggml_tensor *weight = product.src[0], *x = product.src[1];
    if (weight->op == GGML_OP_CPY) weight = weight->src[0];  // widened to F32
    // Weights are leaves with a name; products of activations have none.
    if (weight->op != GGML_OP_NONE || weight->name[0] == '\0') return;
    if (x->type != GGML_TYPE_F32 || !ggml_is_contiguous(x)) return;
    const size_t n_cols = static_cast<size_t>(x->ne[0]);
    values_.resize(static_cast<size_t>(ggml_nelements(x)));
    ggml_backend_tensor_get(x, values_.data(), 0, ggml_nbytes(x));
    ColumnSums& sums = sums_[weight->name];
    sums.sum_squares.resize(n_cols, 0.0f);
    for (size_t row = 0; row < values_.size(); row += n_cols) {
        for (size_t i = 0; i < n_cols; ++i) {
            sums.sum_squares[i] += values_[row + i] * values_[row + i];
        }
    }
    sums.n_rows += static_cast<int64_t>(values_.size() / n_cols);
}

}  // namespace crispvl
