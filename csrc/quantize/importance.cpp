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

namespace {

void add_row(ColumnSums& sums, const float* row, size_t n_cols, size_t i_matrix) {
    float* columns = sums.sum_squares.data() + i_matrix * n_cols;
    for (size_t i = 0; i < n_cols; ++i) columns[i] += row[i] * row[i];
    ++sums.n_rows[i_matrix];
}

}  // namespace

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
    const size_t n_matrices = static_cast<size_t>(weight->ne[2]);
    sums.sum_squares.resize(n_matrices * n_cols, 0.0f);
    sums.n_rows.resize(n_matrices, 0);
    if (product.op == GGML_OP_MUL_MAT_ID) return add_experts(sums, *x, *product.src[2]);
    for (size_t at = 0; at < values_.size(); at += n_cols) {
        add_row(sums, values_.data() + at, n_cols, /*i_matrix=*/0);
    }
}

// x [n_cols, n_used or 1, n_tokens]: one row for all of a token's experts, or one for each.
void ImportanceCollector::add_experts(ColumnSums& sums, const ggml_tensor& x,
                                      const ggml_tensor& chosen) {
    const int64_t n_used = chosen.ne[0], n_tokens = chosen.ne[1];
    chosen_.resize(static_cast<size_t>(n_used));
    for (int64_t token = 0; token < n_tokens; ++token) {
        ggml_backend_tensor_get(&chosen, chosen_.data(), static_cast<size_t>(token) * chosen.nb[1],
                                chosen_.size() * sizeof(int32_t));
        for (int64_t i = 0; i < n_used; ++i) {
            const float* row = values_.data() + (token * x.ne[1] + i % x.ne[1]) * x.ne[0];
            add_row(sums, row, static_cast<size_t>(x.ne[0]),
                    static_cast<size_t>(chosen_[static_cast<size_t>(i)]));
        }
    }
}

}  // namespace crispvl
