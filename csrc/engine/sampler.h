// Chooses the next token from logits: greedy, or temperature with top-k, top-p (arXiv 1904.09751)
// and min-p (arXiv 2407.01082), after an optional repetition penalty (arXiv 1909.05858).
#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace crispvl {

struct SamplingOptions {
    float temperature = 0;  // 0: the most likely token
    int64_t top_k = 0;      // 0: all tokens
    float top_p = 1;        // 1: all tokens
    float min_p = 0;        // 0: all tokens
    uint64_t seed = 0;
    float repetition_penalty = 1;   // 1: none
    int64_t repetition_window = 0;  // newest generated tokens it looks at; 0: all
};

// The model's scores for each token of the vocabulary, which somebody else owns.
struct LogitsView {
    const float* data;
    size_t size;

    const float* begin() const { return data; }
    const float* end() const { return data + size; }
    float operator[](size_t i) const { return data[i]; }
};

// log(sum(exp(logits))). Throws Error{model_file} where that is no number.
double log_normaliser(LogitsView logits);

struct Sampled {
    int32_t id;
    float logprob;  // natural log, under the model's own distribution
};

class Sampler {
public:
    // Throws Error{argument} for values out of range.
    explicit Sampler(const SamplingOptions& options);

    // Throws Error{model_file} where the logits make no distribution.
    Sampled sample(LogitsView logits);

    // Takes `ids` for what was generated so far, which the penalty looks back on: where another
    // sampler wrote it, or some was taken back.
    void set_history(std::vector<int32_t> ids) { history_ = std::move(ids); }

private:
    std::vector<float> penalised(LogitsView logits) const;
    int32_t draw(LogitsView logits);

    SamplingOptions options_;
    std::mt19937_64 random_;
    std::vector<int32_t> history_;
};

}  // namespace crispvl
