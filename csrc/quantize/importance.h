// Which input columns of each weight matrix matter: the mean squared activation that meets them,
// gathered while the model reads pages and text.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/model.h"

namespace crispvl {

struct ColumnSums {
    std::vector<float> sum_squares;  // per input column of the weight: [n_experts, n_columns]
    std::vector<int64_t> n_rows;     // activations summed, of each expert; one where there are none
};

class ImportanceCollector {
public:
    // Watches every matrix product of the model's weights from now on. One at a time per model.
    // Throws Error{argument} for a model that was not loaded exact: kernels of our own are no
    // products of the graph.
    explicit ImportanceCollector(std::shared_ptr<const Model> model);
    ~ImportanceCollector();
    ImportanceCollector(const ImportanceCollector&) = delete;
    ImportanceCollector& operator=(const ImportanceCollector&) = delete;

    // Watches no longer; the sums stay. Idempotent.
    void stop();

    // By tensor name. Read it while the model is idle.
    const std::map<std::string, ColumnSums>& sums() const { return sums_; }

private:
    void add(const ggml_tensor& product);
    // `chosen`: I32 [n_used, n_tokens], the experts that meet each row of `x`.
    void add_experts(ColumnSums& sums, const ggml_tensor& x, const ggml_tensor& chosen);

    std::shared_ptr<const Model> model_;
    std::map<std::string, ColumnSums> sums_;
    std::vector<float> values_;  // of the activations at hand
    std::vector<int32_t> chosen_;
};

}  // namespace crispvl
