// One conversation with a model: its KV cache and the logits after its last token. prefill.h and
// decode.h append tokens. A session is used by one thread at a time; several sessions may share a
// model.
#pragma once

#include <memory>
#include <vector>

#include "engine/history.h"
#include "engine/sampler.h"
#include "model/model.h"

namespace crispvl {

// Positions that a prompt takes with its images: one per token, or less for a token of an image
// where the model says so (V2PE). What is generated takes one per token.
int64_t prompt_span(const ModelConfig& config, const std::vector<int32_t>& ids);

class Session {
public:
    // `n_ctx`: tokens the cache holds. Throws Error{context_overflow, argument, memory}.
    Session(std::shared_ptr<const Model> model, int64_t n_ctx);

    // Chooses a token from a row of logits. Throws Error{argument} where there is no such row, as
    // before the first prefill.
    Sampled sample(Sampler& sampler, int64_t i_row) const;
    Sampled sample(Sampler& sampler) const { return sample(sampler, n_logit_rows() - 1); }

    // Forgets all but the first `n_past` tokens.
    void rewind(int64_t n_past);

    // Rows of logits of the tokens appended last; none before the first prefill and after rewind().
    int64_t n_logit_rows() const;
    LogitsView logits(int64_t i_row) const;
    int64_t n_past() const { return n_past_; }
    int64_t n_ctx() const { return cache_.n_ctx(); }
    const KvCache& cache() const { return cache_; }
    const Model& model() const { return *model_; }

private:
    friend class Prefill;
    friend class DecodeStep;

    void check_ids(const std::vector<int32_t>& ids) const;
    void check_fits(int64_t n_new) const;
    // Positions of `ids` after the cached tokens, in units; image tokens are those that take an
    // embedding. Throws Error{context_overflow} past the trained length.
    std::vector<int32_t> positions_after(const std::vector<int32_t>& ids, bool has_images) const;
    // Whole positions up to `last` units.
    int64_t span(int32_t last) const;
    // What appends tokens computes next_logits_; this makes them and the tokens the session's own.
    // `rows`: the embeddings of their images. `n_total`: of the rope that they were rotated with.
    void commit(const std::vector<int32_t>& ids, std::vector<float> rows,
                const std::vector<int32_t>& positions, int64_t n_total);
    bool remembers() const;

    std::shared_ptr<const Model> model_;
    KvCache cache_;
    int64_t n_past_ = 0;
    std::vector<int32_t> positions_;           // of the cached tokens, in units
    History history_;                          // of the cached tokens, where it may be replayed
    bool is_long_ = false;                     // how they were rotated: see RopeConfig::is_long
    bool is_stale_ = false;                    // the cache's keys are to be computed anew
    std::vector<float> logits_, next_logits_;  // [n_rows, vocab_size]; swapped, not allocated anew
};

}  // namespace crispvl
