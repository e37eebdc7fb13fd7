#include "engine/decode.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "engine/prefill.h"
#include "nn/sequence_step.h"

namespace crispvl {

class DecodeStep {
public:
    // Throws Error{argument, context_overflow} for what cannot be appended.
    DecodeStep(const std::vector<Session*>& sessions,
               const std::vector<std::vector<int32_t>>& ids) {
        for (size_t i = 0; i < sessions.size(); ++i) add(*sessions[i], ids[i]);
    }
    void run(Interrupt* interrupt);

private:
    // A session and what it appends.
    struct Part {
        Session& session;
        const std::vector<int32_t>& ids;
        std::vector<int32_t> positions;  // of the ids, in units
        int64_t span;                    // whole positions of the sequence afterwards
    };

    void add(Session& session, const std::vector<int32_t>& ids);
    bool share_rope(const Part& a, const Part& b) const;
    // Computes the logits of parts [first, first + n).
    void compute(size_t first, size_t n, Interrupt* interrupt);
    const Model& model() const { return *parts_.front().session.model_; }

    std::vector<Part> parts_;
};

void DecodeStep::add(Session& session, const std::vector<int32_t>& ids) {
    if (!parts_.empty() && session.model_ != parts_.front().session.model_) {
        throw Error(ErrorKind::argument,
                    "[session] expected sessions of one model in a batch; found several models; "
                    "decode each model's by themselves");
    }
    if (ids.empty()) {
        throw Error(
            ErrorKind::argument,
            "[session] expected a token for each session; found none for one; give its next token");
    }
    session.check_ids(ids);
    session.check_fits(static_cast<int64_t>(ids.size()));
    std::vector<int32_t> positions = session.positions_after(ids, /*has_images=*/false);
    const int64_t span = session.span(positions.back());
    parts_.push_back({session, ids, std::move(positions), span});
}

void DecodeStep::run(Interrupt* interrupt) {
    for (const Part& part : parts_) Prefill::align_rope(part.session, part.span, interrupt);
    for (size_t first = 0, n = 0; first < parts_.size(); first += n) {
        n = 1;
        while (first + n < parts_.size() && n < Decoder::kMaxSequences &&
               share_rope(parts_[first], parts_[first + n])) {
            ++n;
        }
        compute(first, n, interrupt);
    }
    // Only now, when every group is computed: an error changes nothing.
    for (const Part& part : parts_) part.session.commit(part.ids, {}, part.positions, part.span);
}

// Whether the step rotates the keys of both sequences alike. Dynamic NTK gives one beyond the
// trained length a base of its own; longrope has one set of factors for each side of it.
bool DecodeStep::share_rope(const Part& a, const Part& b) const {
    const RopeConfig& rope = model().config().decoder.rope;
    if (rope.scaling == RopeScaling::dynamic) {
        return std::max(a.span, b.span) <= rope.original_context;
    }
    return rope.is_long(a.span) == rope.is_long(b.span);
}

void DecodeStep::compute(size_t first, size_t n, Interrupt* interrupt) {
    const Decoder& decoder = model().decoder();
    const DecoderConfig& c = model().config().decoder;
    Graph g(decoder.max_nodes(n), /*taps_enabled=*/false, model().is_exact());
    std::vector<SequenceStep> steps;
    std::vector<int32_t> all_ids, all_positions;
    int64_t longest = 0;
    for (size_t i = first; i < first + n; ++i) {
        const Part& part = parts_[i];
        steps.push_back(sequence_step(g, part.session.cache_, static_cast<int64_t>(all_ids.size()),
                                      part.session.n_past_, static_cast<int64_t>(part.ids.size()),
                                      c.window));
        all_ids.insert(all_ids.end(), part.ids.begin(), part.ids.end());
        all_positions.insert(all_positions.end(), part.positions.begin(), part.positions.end());
        longest = std::max(longest, part.span);
    }
    const int64_t n_tokens = static_cast<int64_t>(all_ids.size());
    ggml_tensor* ids = g.input(GGML_TYPE_I32, n_tokens);
    ggml_tensor* positions = g.input(GGML_TYPE_I32, n_tokens);
    ggml_tensor* x = decoder.embed(g, ids);
    x = decoder(g, x, decoder.rope(g, longest), positions, steps);
    ggml_tensor* logits = decoder.logits(g, x);
    g.output(logits);
    model().executor().run(
        g,
        [&] {
            set_input(ids, all_ids.data());
            set_input(positions, all_positions.data());
            for (const SequenceStep& step : steps) set_inputs(step);
        },
        [&] {
            const size_t n_vocab = static_cast<size_t>(c.vocab_size);
            for (size_t i = 0; i < n; ++i) {
                const size_t i_row = static_cast<size_t>(steps[i].i_first);
                std::vector<float>& rows = parts_[first + i].session.next_logits_;
                rows.resize(parts_[first + i].ids.size() * n_vocab);
                ggml_backend_tensor_get(logits, rows.data(), i_row * n_vocab * sizeof(float),
                                        rows.size() * sizeof(float));
            }
        },
        interrupt);
}

void decode_batch(const std::vector<Session*>& sessions,
                  const std::vector<std::vector<int32_t>>& ids, Interrupt* interrupt) {
    if (sessions.size() != ids.size() || sessions.empty()) {
        throw Error(ErrorKind::argument,
                    "[session] expected ids for each session, at least one; found " +
                        std::to_string(sessions.size()) + " sessions and ids for " +
                        std::to_string(ids.size()) + "; give as many of each");
    }
    std::vector<Session*> sorted = sessions;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
        throw Error(ErrorKind::argument,
                    "[session] expected each session once in a batch; found one twice; give its "
                    "ids together");
    }
    DecodeStep(sessions, ids).run(interrupt);
}

void decode(Session& session, int32_t id, Interrupt* interrupt) {
    decode_batch({&session}, {{id}}, interrupt);
}

}  // namespace crispvl
