#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>
#include <string>

#include "base/error.h"

namespace crispvl {
namespace {

void require(bool holds, const char* name, const char* expected, double found) {
    if (holds) return;
    throw Error(ErrorKind::argument, std::string("[sampling] expected ") + name + " to be " +
                                         expected + "; found " + std::to_string(found) +
                                         "; change it");
}

// A vocabulary has 150000 tokens, all looked at for each token that is written:
// loops over independent values become vector instructions.
constexpr size_t kLanes = 16;

constexpr float kLowest = -87.0f;  // exp of less is no normal float

// exp(x) for x from kLowest to 0, within 1e-6 of it: 2^n * 2^f with a whole n and |f| <= 1/2.
inline float exp_of_negative(float x) {
    constexpr float kWhole = 12582912.0f;  // 1.5 * 2^23: adding it rounds to whole numbers
    const float z = x * 1.44269504f;
    const float shifted = z + kWhole;
    const float f = (z - (shifted - kWhole)) * 0.69314718f;
    uint32_t bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;  // the low bits are n; 2^n as a float
    float power;
    std::memcpy(&power, &bits, sizeof power);
    const float series =
        1 + f * (1 + f * (0.5f + f * (1 / 6.0f + f * (1 / 24.0f + f * (1 / 120.0f + f / 720)))));
    return power * series;
}

float largest(const float* x, size_t n) {
    float lanes[kLanes];
    std::fill_n(lanes, kLanes, x[0]);
    size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        for (size_t j = 0; j < kLanes; ++j) lanes[j] = x[i + j] > lanes[j] ? x[i + j] : lanes[j];
    }
    for (; i < n; ++i) lanes[0] = std::max(lanes[0], x[i]);
    return *std::max_element(lanes, lanes + kLanes);
}

struct Summary {
    double log_sum;   // log(sum(exp(logits)))
    int32_t i_first;  // the first of the largest logits
};

// Reads the logits once, as they come from memory: each block's sum counts relative to the largest
// logit so far. In double over sums of a few hundred values in float. The sum is no finite number
// where a logit is NaN or plus infinity, or all are minus infinity.
Summary summary(LogitsView x) {
    constexpr size_t kBlock = 32 * kLanes;
    float most = -std::numeric_limits<float>::infinity();
    size_t i_most = 0;  // the block it is in
    double sum = 0;
    float values[kBlock];
    for (size_t first = 0; first < x.size; first += kBlock) {
        const size_t n = std::min(x.size - first, kBlock);
        const float of_block = largest(x.data + first, n);
        if (of_block > most) {
            sum *= std::exp(static_cast<double>(most) - static_cast<double>(of_block));
            most = of_block;
            i_most = first;
        }
        const float zero = std::isinf(most) && most < 0 ? 0.0f : most;
        for (size_t i = 0; i < n; ++i) values[i] = std::max(x[first + i] - zero, kLowest);
        for (size_t i = 0; i < n; ++i) values[i] = exp_of_negative(values[i]);
        std::fill(values + n, values + kBlock, 0.0f);
        for (size_t half = kBlock / 2; half >= kLanes; half /= 2) {
            for (size_t i = 0; i < half; ++i) values[i] += values[i + half];
        }
        for (size_t i = 0; i < kLanes; ++i) sum += static_cast<double>(values[i]);
    }
    const float* block_end = x.begin() + std::min(x.size, i_most + kBlock);
    const float* found = std::find(x.begin() + i_most, block_end, most);
    return {static_cast<double>(most) + std::log(sum),
            found == block_end ? 0 : static_cast<int32_t>(found - x.begin())};
}

Summary finite_summary(LogitsView logits) {
    const Summary found = summary(logits);
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
    const Summary own = finite_summary(logits);
    const bool penalise = options_.repetition_penalty != 1 && !history_.empty();
    const std::vector<float> adjusted = penalise ? penalised(logits) : std::vector<float>();
    const LogitsView scores = penalise ? LogitsView{adjusted.data(), adjusted.size()} : logits;
    const int32_t id = options_.temperature != 0 ? draw(scores)
                       : penalise                ? summary(scores).i_first
                                                 : own.i_first;
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
