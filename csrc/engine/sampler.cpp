#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <string>

#include "base/error.h"
#include "kernels/f32/kernels.h"

namespace crispvl {
namespace {

void require(bool holds, const char* name, const char* expected, double found) {
    if (holds) return;
    throw Error(ErrorKind::argument, std::string("[sampling] expected ") + name + " to be " +
                                         expected + "; found " + std::to_string(found) +
                                         "; change it");
}

kernels::RowSummary summary(LogitsView x) {
    return kernels::summarise_row(x.data, static_cast<int64_t>(x.size));
}

kernels::RowSummary finite_summary(LogitsView logits) {
    const kernels::RowSummary found = summary(logits);
    if (std::isfinite(found.log_sum)) return found;
    throw Error(ErrorKind::model_file,
                "[engine] expected finite logits; found some that are no numbers: the model's "
                "weights are damaged, or too large for their type; check the file with 'crispvl "
                "verify', or convert the checkpoint again as bf16");
}

}  // namespace

double log_normaliser(LogitsView logits) {
    return finite_summary(logits).log_sum;
}

Sampler::Sampler(const SamplingOptions& o) : options_(o), random_(o.seed) {
    require(o.temperature >= 0 && o.temperature <= 100, "temperature", "from 0 to 100",
            static_cast<double>(o.temperature));
    require(o.top_k >= 0, "top_k", "0 or more", static_cast<double>(o.top_k));
    require(o.top_p > 0 && o.top_p <= 1, "top_p", "above 0 and at most 1",
            static_cast<double>(o.top_p));
    require(o.min_p >= 0 && o.min_p < 1, "min_p", "from 0 to below 1",
            static_cast<double>(o.min_p));
    require(o.repetition_penalty > 0 && o.repetition_penalty <= 100, "repetition_penalty",
            "above 0 and at most 100", static_cast<double>(o.repetition_penalty));
    require(o.repetition_window >= 0, "repetition_window", "0 or more",
            static_cast<double>(o.repetition_window));
}

Sampled Sampler::sample(LogitsView logits) {
    const kernels::RowSummary own = finite_summary(logits);
    const bool penalise = options_.repetition_penalty != 1 && !history_.empty();
    const std::vector<float> adjusted = penalise ? penalised(logits) : std::vector<float>();
    const LogitsView scores = penalise ? LogitsView{adjusted.data(), adjusted.size()} : logits;
    const int32_t id = options_.temperature != 0
                           ? draw(scores)
                           : static_cast<int32_t>((penalise ? summary(scores) : own).i_first);
    if (options_.repetition_penalty != 1) history_.push_back(id);
    const double logprob = static_cast<double>(logits[static_cast<size_t>(id)]) - own.log_sum;
    return {id, static_cast<float>(logprob)};
}

std::vector<float> Sampler::penalised(LogitsView logits) const {
    std::vector<float> scores(logits.begin(), logits.end());
    const int64_t n = static_cast<int64_t>(history_.size());
    const int64_t window =
        options_.repetition_window == 0 ? n : std::min(n, options_.repetition_window);
    const std::set<int32_t> seen(history_.end() - window, history_.end());
    for (const int32_t id : seen) {
        if (id < 0 || static_cast<size_t>(id) >= scores.size()) continue;  // another model's
        float& x = scores[static_cast<size_t>(id)];
        x = x > 0 ? x / options_.repetition_penalty : x * options_.repetition_penalty;
    }
    return scores;
}

int32_t Sampler::draw(LogitsView logits) {
    std::vector<int32_t> order(logits.size);
    std::iota(order.begin(), order.end(), 0);
    const size_t k = options_.top_k == 0
                         ? order.size()
                         : std::min(order.size(), static_cast<size_t>(options_.top_k));
    const auto more_likely = [&](int32_t a, int32_t b) {
        const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
        return x != y ? x > y : a < b;
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                      more_likely);
    order.resize(k);
    const double largest = static_cast<double>(logits[static_cast<size_t>(order[0])]);
    std::vector<double> weight(k);
    double total = 0;
    for (size_t i = 0; i < k; ++i) {
        const double x = static_cast<double>(logits[static_cast<size_t>(order[i])]);
        weight[i] = std::exp((x - largest) / static_cast<double>(options_.temperature));
        total += weight[i];
    }
    // The kept tokens: a prefix of the sorted ones, never empty.
    size_t n_kept = 0;
    double kept = 0;
    while (n_kept < k) {
        const bool enough = n_kept > 0 && kept >= static_cast<double>(options_.top_p) * total;
        const bool unlikely = weight[n_kept] < static_cast<double>(options_.min_p) * weight[0];
        if (enough || unlikely) break;
        kept += weight[n_kept++];
    }
    double point = std::uniform_real_distribution<double>(0, kept)(random_);
    for (size_t i = 0; i + 1 < n_kept; ++i) {
        point -= weight[i];
        if (point < 0) return order[i];
    }
    return order[n_kept - 1];
}

}  // namespace crispvl
