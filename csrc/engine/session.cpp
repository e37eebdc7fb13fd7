#include "engine/session.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "engine/prefill.h"
#include "nn/sequence_step.h"

namespace crispvl {
namespace {

int64_t checked_context(const Model& model, int64_t n_ctx) {
    const DecoderConfig& c = model.config().decoder;
    const int64_t most = c.context_length * c.rope.position_units;
    if (n_ctx < 1) {
        throw Error(
            ErrorKind::argument,
            "[session] expected a context of at least 1 token; found " + std::to_string(n_ctx));
    }
    if (n_ctx > most) {
        throw Error(ErrorKind::context_overflow,
                    "[session] expected a context of at most " + std::to_string(most) +
                        " tokens, the model's own; found " + std::to_string(n_ctx) +
                        "; lower max_tokens, max_tiles or the prompt");
    }
    return n_ctx;
}

// How far a token lies behind the one before it, in units.
int32_t position_step(const ModelConfig& c, int32_t id, bool has_images) {
    const bool is_image = has_images && id == c.image.context_id;
    return is_image ? 1 : static_cast<int32_t>(c.decoder.rope.position_units);
}

// Whole positions up to `last` units.
int64_t span_to(const ModelConfig& c, int64_t last) {
    const int64_t units = c.decoder.rope.position_units;
    return (last + units - 1) / units + 1;
}

}  // namespace

int64_t prompt_span(const ModelConfig& config, const std::vector<int32_t>& ids) {
    if (ids.empty()) return 0;
    int64_t last = 0;
    for (size_t i = 1; i < ids.size(); ++i) last += position_step(config, ids[i], true);
    return span_to(config, last);
}

Session::Session(std::shared_ptr<const Model> model, int64_t n_ctx)
    : model_(std::move(model)),
      cache_(model_->layer_backends(), model_->kv_type(),
             model_->config().decoder.n_kv_heads * model_->config().decoder.d_head,
             checked_context(*model_, n_ctx), model_->measures_only()) {}

void Session::check_ids(const std::vector<int32_t>& ids) const {
    const int64_t vocab_size = model_->config().decoder.vocab_size;
    for (const int32_t id : ids) {
        if (id >= 0 && id < vocab_size) continue;
        throw Error(ErrorKind::argument, "[session] expected token ids from 0 to " +
                                             std::to_string(vocab_size - 1) + "; found " +
                                             std::to_string(id));
    }
}

void Session::check_fits(int64_t n_new) const {
    if (n_new <= n_ctx() - n_past_) return;
    throw Error(ErrorKind::context_overflow,
                "[session] expected at most " + std::to_string(n_ctx() - n_past_) +
                    " more tokens in a context of " + std::to_string(n_ctx()) + "; found " +
                    std::to_string(n_new) + "; lower max_tiles, max_tokens or the prompt");
}

int64_t Session::span(int32_t last) const {
    return span_to(model_->config(), last);
}

std::vector<int32_t> Session::positions_after(const std::vector<int32_t>& ids,
                                              bool has_images) const {
    const ModelConfig& c = model_->config();
    std::vector<int32_t> positions;
    for (const int32_t id : ids) {
        const bool is_first = positions.empty() && positions_.empty();
        const int32_t last = !positions.empty() ? positions.back()
                             : is_first         ? 0
                                                : positions_.back();
        positions.push_back(is_first ? 0 : last + position_step(c, id, has_images));
    }
    if (span(positions.back()) > c.decoder.context_length) {
        throw Error(ErrorKind::context_overflow, "[session] expected positions up to " +
                                                     std::to_string(c.decoder.context_length) +
                                                     ", the model's own; found " +
                                                     std::to_string(span(positions.back())) +
                                                     "; lower max_tokens, max_tiles or the prompt");
    }
    return positions;
}

void Session::prefill(const std::vector<int32_t>& ids, const float* embeddings, int64_t n_rows,
                      Interrupt* interrupt, Trace* trace) {
    Prefill work(*this, ids, embeddings, n_rows);
    while (!work.done()) work.step(interrupt, trace);
}

void Session::decode(int32_t id, Interrupt* interrupt) {
    decode_batch({this}, {{id}}, interrupt);
}

bool Session::remembers() const {
    return model_->config().decoder.rope.scaling == RopeScaling::longrope;
}

void Session::align_rope(int64_t n_total, Interrupt* interrupt) {
    if (!remembers() || n_past_ == 0) return;
    const bool is_long = model_->config().decoder.rope.is_long(n_total);
    if (is_long != is_long_ || is_stale_) replay(n_total, interrupt);
}

void Session::replay(int64_t n_total, Interrupt* interrupt) {
    const History history = std::move(history_);
    const std::vector<int32_t> positions = std::move(positions_);
    const std::vector<float> logits = logits_;
    const int64_t n_past = n_past_, width = model_->config().decoder.width;
    const auto forget = [&] {
        history_ = {};
        positions_.clear();
        n_past_ = 0;
    };
    forget();
    try {
        for (const History::Piece& piece : history.pieces()) {
            const int64_t n_rows = static_cast<int64_t>(piece.rows.size()) / width;
            Prefill work(*this, piece.ids, n_rows > 0 ? piece.rows.data() : nullptr, n_rows,
                         n_total);
            while (!work.done()) work.step(interrupt);
        }
        is_stale_ = false;
    } catch (...) {
        history_ = history;
        positions_ = positions;
        logits_ = logits;
        n_past_ = n_past;
        is_stale_ = true;
        throw;
    }
}

void Session::commit(const std::vector<int32_t>& ids, std::vector<float> rows,
                     const std::vector<int32_t>& positions, int64_t n_total) {
    if (remembers()) {
        history_.append(ids, std::move(rows));
        is_long_ = model_->config().decoder.rope.is_long(n_total);
    }
    n_past_ += static_cast<int64_t>(positions.size());
    positions_.insert(positions_.end(), positions.begin(), positions.end());
    std::swap(logits_, next_logits_);
}

void Session::decode_batch(const std::vector<Session*>& sessions,
                           const std::vector<std::vector<int32_t>>& ids, Interrupt* interrupt) {
    if (sessions.size() != ids.size() || sessions.empty()) {
        throw Error(ErrorKind::argument,
                    "[session] expected ids for each session, at least one; found " +
                        std::to_string(sessions.size()) + " sessions and ids for " +
                        std::to_string(ids.size()));
    }
    std::vector<Session*> sorted = sessions;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
        throw Error(ErrorKind::argument, "[session] expected each session once in a batch");
    }
    std::vector<std::vector<int32_t>> positions;
    for (size_t i = 0; i < sessions.size(); ++i) {
        if (sessions[i]->model_ != sessions[0]->model_) {
            throw Error(ErrorKind::argument, "[session] expected sessions of one model in a batch");
        }
        if (ids[i].empty()) {
            throw Error(ErrorKind::argument, "[session] expected a token for each session");
        }
        sessions[i]->check_ids(ids[i]);
        sessions[i]->check_fits(static_cast<int64_t>(ids[i].size()));
        positions.push_back(sessions[i]->positions_after(ids[i], /*has_images=*/false));
    }
    for (size_t i = 0; i < sessions.size(); ++i) {
        sessions[i]->align_rope(sessions[i]->span(positions[i].back()), interrupt);
    }
    for (size_t first = 0, n = 0; first < sessions.size(); first += n) {
        n = 1;
        while (first + n < sessions.size() && n < Decoder::kMaxSequences &&
               share_rope(*sessions[first], ids[first], *sessions[first + n], ids[first + n])) {
            ++n;
        }
        run_batch(sessions, ids, first, n, interrupt);
    }
    // Only now, when every group is computed: an error changes nothing.
    for (size_t i = 0; i < sessions.size(); ++i) {
        sessions[i]->commit(ids[i], {}, positions[i], sessions[i]->span(positions[i].back()));
    }
}

// Dynamic NTK gives a sequence beyond the trained length a base of its own; longrope has one set of
// factors for each side of it.
bool Session::share_rope(const Session& a, const std::vector<int32_t>& ids_of_a, const Session& b,
                         const std::vector<int32_t>& ids_of_b) {
    const RopeConfig& rope = a.model_->config().decoder.rope;
    const auto n_total = [](const Session& session, const std::vector<int32_t>& ids) {
        return session.span(session.positions_after(ids, /*has_images=*/false).back());
    };
    if (rope.scaling == RopeScaling::dynamic) {
        return std::max(n_total(a, ids_of_a), n_total(b, ids_of_b)) <= rope.original_context;
    }
    return rope.is_long(n_total(a, ids_of_a)) == rope.is_long(n_total(b, ids_of_b));
}

void Session::run_batch(const std::vector<Session*>& sessions,
                        const std::vector<std::vector<int32_t>>& ids, size_t first,
                        size_t n_sessions, Interrupt* interrupt) {
    const Model& model = *sessions[first]->model_;
    const DecoderConfig& c = model.config().decoder;
    Graph g(model.decoder().max_nodes(n_sessions), /*taps_enabled=*/false, model.is_exact());
    std::vector<SequenceStep> steps;
    std::vector<int32_t> all_ids, all_positions;
    int64_t n_longest = 0;
    for (size_t i = first; i < first + n_sessions; ++i) {
        const Session& session = *sessions[i];
        const int64_t n_new = static_cast<int64_t>(ids[i].size());
        steps.push_back(sequence_step(g, session.cache_, static_cast<int64_t>(all_ids.size()),
                                      session.n_past_, n_new, c.window));
        const std::vector<int32_t> positions = session.positions_after(ids[i], false);
        all_positions.insert(all_positions.end(), positions.begin(), positions.end());
        all_ids.insert(all_ids.end(), ids[i].begin(), ids[i].end());
        n_longest = std::max(n_longest, session.span(positions.back()));
    }
    const int64_t n = static_cast<int64_t>(all_ids.size());
    ggml_tensor* id_input = g.input(GGML_TYPE_I32, n);
    ggml_tensor* positions = g.input(GGML_TYPE_I32, n);
    ggml_tensor* x = model.decoder().embed(g, id_input);
    x = model.decoder()(g, x, model.decoder().rope(g, n_longest), positions, steps);
    ggml_tensor* logits = model.decoder().logits(g, x);
    g.output(logits);
    model.executor().run(
        g,
        [&] {
            set_input(id_input, all_ids.data());
            set_input(positions, all_positions.data());
            for (const SequenceStep& step : steps) set_inputs(step);
        },
        [&] {
            const size_t n_vocab = static_cast<size_t>(c.vocab_size);
            for (size_t i = 0; i < n_sessions; ++i) {
                const size_t i_row = static_cast<size_t>(steps[i].i_first);
                std::vector<float>& rows = sessions[first + i]->next_logits_;
                rows.resize(ids[first + i].size() * n_vocab);
                ggml_backend_tensor_get(logits, rows.data(), i_row * n_vocab * sizeof(float),
                                        rows.size() * sizeof(float));
            }
        },
        interrupt);
}

int64_t Session::n_logit_rows() const {
    return static_cast<int64_t>(logits_.size()) / model_->config().decoder.vocab_size;
}

LogitsView Session::logits(int64_t i_row) const {
    const size_t n_vocab = static_cast<size_t>(model_->config().decoder.vocab_size);
    return {logits_.data() + static_cast<size_t>(i_row) * n_vocab, n_vocab};
}

Sampled Session::sample(Sampler& sampler, int64_t i_row) const {
    if (logits_.empty()) {
        throw Error(ErrorKind::argument,
                    "[session] expected a prompt before sampling; call prefill");
    }
    if (i_row < 0 || i_row >= n_logit_rows()) {
        throw Error(ErrorKind::argument, "[session] expected a row of logits from 0 to " +
                                             std::to_string(n_logit_rows() - 1) + "; found " +
                                             std::to_string(i_row));
    }
    return sampler.sample(logits(i_row));
}

void Session::rewind(int64_t n_past) {
    if (n_past < 0 || n_past > n_past_) {
        throw Error(ErrorKind::argument, "[session] expected to keep 0 to " +
                                             std::to_string(n_past_) + " tokens; found " +
                                             std::to_string(n_past));
    }
    n_past_ = n_past;
    positions_.resize(static_cast<size_t>(n_past));
    if (n_past == 0) is_stale_ = false;
    history_.truncate(n_past, model_->config().image.context_id, model_->config().decoder.width);
    logits_.clear();
}

}  // namespace crispvl
