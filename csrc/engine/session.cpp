#include "engine/session.h"

#include <algorithm>
#include <string>

#include "base/error.h"

namespace crispvl {
namespace {

int64_t checked_context(const Model& model, int64_t n_ctx) {
    const DecoderConfig& c = model.config().decoder;
    const int64_t most = c.context_length * c.rope.position_units;
    if (n_ctx < 1) {
        throw Error(ErrorKind::argument,
                    "[session] expected a context of at least 1 token; found " +
                        std::to_string(n_ctx) + "; raise it");
    }
    if (n_ctx > most) {
        throw Error(ErrorKind::context_overflow,
                    "[session] expected a context of at most " + std::to_string(most) +
                        " tokens, the model's own; found " + std::to_string(n_ctx) +
                        "; lower max_tokens, max_tiles or the prompt");
    }
    return n_ctx;
}

// How far a token is behind the one before it, in units.
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
                                             std::to_string(id) + "; use this model's tokenizer");
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

bool Session::remembers() const {
    return model_->config().decoder.rope.scaling == RopeScaling::longrope;
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
                    "[session] expected a prompt before sampling; found none; call prefill");
    }
    if (i_row < 0 || i_row >= n_logit_rows()) {
        throw Error(ErrorKind::argument, "[session] expected a row of logits from 0 to " +
                                             std::to_string(n_logit_rows() - 1) + "; found " +
                                             std::to_string(i_row) + "; change it");
    }
    return sampler.sample(logits(i_row));
}

void Session::rewind(int64_t n_past) {
    if (n_past < 0 || n_past > n_past_) {
        throw Error(ErrorKind::argument, "[session] expected to keep 0 to " +
                                             std::to_string(n_past_) + " tokens; found " +
                                             std::to_string(n_past) + "; change it");
    }
    n_past_ = n_past;
    positions_.resize(static_cast<size_t>(n_past));
    if (n_past == 0) is_stale_ = false;
    history_.truncate(n_past, model_->config().image.context_id, model_->config().decoder.width);
    logits_.clear();
}

}  // namespace crispvl
