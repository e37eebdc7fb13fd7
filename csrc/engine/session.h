// One conversation with a model: its KV cache and the logits after its last token. A session is
// used by one thread at a time; several sessions may share a model.
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

    // Appends `ids`. Ids equal to the image context token take the next of the `n_rows` rows of
    // `embeddings` [n_rows, width], in order. Afterwards logits() belong to the last id.
    // On any error the session is as it was before. Throws Error{argument, context_overflow,
    // cancelled, memory}. Prefill (prefill.h) does the same in steps.
    void prefill(const std::vector<int32_t>& ids, const float* embeddings, int64_t n_rows,
                 Interrupt* interrupt, Trace* trace = nullptr);

    // Appends one generated token.
    void decode(int32_t id, Interrupt* interrupt);

    // Appends ids[i], at least one token, to sessions[i], all in one pass over the weights: what
    // bounds decoding is reading them. Afterwards a session has a row of logits for each of its
    // tokens. Sessions share one model and differ from one another. On any error all are as they
    // were. Throws Error{argument, context_overflow, cancelled, memory}.
    static void decode_batch(const std::vector<Session*>& sessions,
                             const std::vector<std::vector<int32_t>>& ids, Interrupt* interrupt);

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

    void check_ids(const std::vector<int32_t>& ids) const;
    void check_fits(int64_t n_new) const;
    // Positions of `ids` after the cached tokens, in units; image tokens are those that take an
    // embedding. Throws Error{context_overflow} past the trained length.
    std::vector<int32_t> positions_after(const std::vector<int32_t>& ids, bool has_images) const;
    // Whole positions up to `last` units.
    int64_t span(int32_t last) const;
    // Whether a step that appends such ids rotates the keys of both sessions alike.
    static bool share_rope(const Session& a, const std::vector<int32_t>& ids_of_a, const Session& b,
                           const std::vector<int32_t>& ids_of_b);
    // Computes the cached tokens anew where a sequence of `n_total` positions rotates its keys in
    // another way than they were (longrope), as transformers does.
    void align_rope(int64_t n_total, Interrupt* interrupt);
    void replay(int64_t n_total, Interrupt* interrupt);
    static void run_batch(const std::vector<Session*>& sessions,
                          const std::vector<std::vector<int32_t>>& ids, size_t first,
                          size_t n_sessions, Interrupt* interrupt);
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
