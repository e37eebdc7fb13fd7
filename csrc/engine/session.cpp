#include "engine/session.h"

#include <algorithm>
#include <numeric>
#include <string>

#include "runtime/error.h"

namespace crispvl {
namespace {

// Tokens per prefill graph: their activations and attention masks stay small, and a cancel is
// noticed between chunks on every device.
constexpr int64_t kPrefillChunk = 1024;

int64_t checked_context(const Model& model, int64_t n_ctx) {
    const int64_t trained = model.config().decoder.context_length;
    if (n_ctx < 1) {
        throw Error(
            ErrorKind::argument,
            "[session] expected a context of at least 1 token; found " + std::to_string(n_ctx));
    }
    if (n_ctx > trained * model.config().decoder.rope.position_units) {
        throw Error(ErrorKind::context_overflow,
                    "[session] expected a context of at most " + std::to_string(trained) +
                        " tokens, the model's own; found " + std::to_string(n_ctx) +
                        "; lower max_tokens, max_tiles or the prompt");
    }
    return n_ctx;
}

// An input that no node reads has no memory.
bool is_read(const ggml_tensor* tensor) {
    return tensor != nullptr && tensor->buffer != nullptr;
}

void set(ggml_tensor* tensor, const void* data) {
    if (is_read(tensor)) ggml_backend_tensor_set(tensor, data, 0, ggml_nbytes(tensor));
}

// Causal mask [n_kv, n_new]: token i of the chunk sees n_past + i + 1 tokens.
std::vector<ggml_fp16_t> causal_mask(int64_t n_past, int64_t n_new) {
    const int64_t n_kv = n_past + n_new;
    const ggml_fp16_t hidden = ggml_fp32_to_fp16(-INFINITY);
    std::vector<ggml_fp16_t> mask(static_cast<size_t>(n_kv * n_new), ggml_fp32_to_fp16(0.0f));
    for (int64_t i = 0; i < n_new; ++i) {
        std::fill(mask.begin() + i * n_kv + n_past + i + 1, mask.begin() + (i + 1) * n_kv, hidden);
    }
    return mask;
}

}  // namespace

struct Session::Chunk {
    std::vector<int32_t> ids;
    std::vector<int64_t> image_columns;  // columns that take an embedding instead of their id
    const float* embeddings;             // one row per image column
    std::vector<int32_t> positions;      // in units
    int64_t n_past, n_total;             // tokens before the chunk; positions of the whole prompt
    bool wants_logits;
};

Session::Session(std::shared_ptr<const Model> model, int64_t n_ctx)
    : model_(std::move(model)),
      cache_(model_->backends().preferred(), model_->kv_type(), model_->config().decoder.n_layers,
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
    const int64_t units = model_->config().decoder.rope.position_units;
    return (last + units - 1) / units + 1;
}

std::vector<int32_t> Session::positions_after(const std::vector<int32_t>& ids,
                                              bool has_images) const {
    const ModelConfig& c = model_->config();
    const int32_t units = static_cast<int32_t>(c.decoder.rope.position_units);
    std::vector<int32_t> positions;
    for (const int32_t id : ids) {
        const bool is_first = positions.empty() && positions_.empty();
        const int32_t last = !positions.empty() ? positions.back()
                             : is_first         ? 0
                                                : positions_.back();
        const int32_t step = has_images && id == c.image.context_id ? 1 : units;
        positions.push_back(is_first ? 0 : last + step);
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
    const ModelConfig& c = model_->config();
    const int64_t n = static_cast<int64_t>(ids.size());
    if (n == 0) throw Error(ErrorKind::argument, "[session] expected a prompt; it is empty");
    check_ids(ids);
    const int64_t n_image =
        embeddings == nullptr ? 0 : std::count(ids.begin(), ids.end(), c.image.context_id);
    if (embeddings != nullptr && n_image != n_rows) {
        throw Error(ErrorKind::argument,
                    "[session] expected one image token in the prompt per image "
                    "embedding; found " +
                        std::to_string(n_image) + " tokens and " + std::to_string(n_rows) +
                        " embeddings");
    }
    check_fits(n);
    const std::vector<int32_t> positions = positions_after(ids, embeddings != nullptr);
    const int64_t n_chunk = trace != nullptr ? n : kPrefillChunk;
    int64_t n_past = n_past_;
    for (int64_t i = 0; i < n; i += n_chunk) {
        Chunk chunk;
        chunk.ids.assign(ids.begin() + i, ids.begin() + std::min(n, i + n_chunk));
        chunk.embeddings = embeddings;
        chunk.n_past = n_past;
        chunk.positions.assign(positions.begin() + i, positions.begin() + std::min(n, i + n_chunk));
        chunk.n_total = span(positions.back());
        chunk.wants_logits = i + n_chunk >= n;
        const int64_t n_ids = static_cast<int64_t>(chunk.ids.size());
        for (int64_t j = 0; embeddings != nullptr && j < n_ids; ++j) {
            if (chunk.ids[static_cast<size_t>(j)] == c.image.context_id) {
                chunk.image_columns.push_back(j);
            }
        }
        run(chunk, interrupt, trace);
        if (embeddings != nullptr) {
            embeddings += static_cast<int64_t>(chunk.image_columns.size()) * c.decoder.width;
        }
        n_past += n_ids;
    }
    n_past_ = n_past;
    positions_.insert(positions_.end(), positions.begin(), positions.end());
}

void Session::decode(int32_t id, Interrupt* interrupt) {
    prefill({id}, /*embeddings=*/nullptr, /*n_rows=*/0, interrupt);
}

void Session::run(const Chunk& chunk, Interrupt* interrupt, Trace* trace) {
    const DecoderConfig& c = model_->config().decoder;
    const Decoder& decoder = model_->decoder();
    const int64_t n_new = static_cast<int64_t>(chunk.ids.size());
    const int64_t n_image = static_cast<int64_t>(chunk.image_columns.size());

    Graph g(decoder.max_nodes(/*n_sequences=*/1), /*taps_enabled=*/trace != nullptr);
    ggml_tensor* ids = g.input(GGML_TYPE_I32, n_new);
    ggml_tensor* positions = g.input(GGML_TYPE_I32, n_new);
    ggml_tensor* rows = g.input(GGML_TYPE_I64, n_new);
    ggml_tensor* mask = n_new > 1 ? g.input(GGML_TYPE_F16, chunk.n_past + n_new, n_new) : nullptr;
    ggml_tensor* x = decoder.embed(g, ids);
    ggml_tensor *image_rows = nullptr, *image_columns = nullptr;
    if (n_image > 0) {
        image_rows = g.input(GGML_TYPE_F32, c.width, n_image);
        image_columns = g.input(GGML_TYPE_I64, n_image);
        x = ggml_set_rows(g.ctx(), x, image_rows, image_columns);
    }
    x = g.tap(x, "llm_embed");
    const Rope rope(c.rope, c.d_head, chunk.n_total);
    x = decoder(g, x, rope, positions, {{&cache_, 0, chunk.n_past, n_new, rows, mask}});
    ggml_tensor* logits = nullptr;
    if (chunk.wants_logits) {
        ggml_tensor* last = ggml_view_2d(g.ctx(), x, c.width, 1, x->nb[1],
                                         static_cast<size_t>(n_new - 1) * x->nb[1]);
        logits = decoder.logits(g, last);
        g.output(logits);
    } else {
        g.expand(x);
    }

    std::vector<int64_t> row_values(static_cast<size_t>(n_new));
    std::iota(row_values.begin(), row_values.end(), chunk.n_past);
    model_->executor().run(
        g,
        [&] {
            set(ids, chunk.ids.data());
            set(positions, chunk.positions.data());
            set(rows, row_values.data());
            if (is_read(mask)) set(mask, causal_mask(chunk.n_past, n_new).data());
            set(image_rows, chunk.embeddings);
            set(image_columns, chunk.image_columns.data());
        },
        [&] {
            if (logits != nullptr) {
                logits_.resize(static_cast<size_t>(c.vocab_size));
                ggml_backend_tensor_get(logits, logits_.data(), 0, ggml_nbytes(logits));
            }
            if (trace != nullptr) {
                read_taps(g, *trace);
                (*trace)["logits"] = {{c.vocab_size}, logits_};
            }
        },
        interrupt);
}

void Session::decode_batch(const std::vector<Session*>& sessions, const std::vector<int32_t>& ids,
                           Interrupt* interrupt) {
    if (sessions.size() != ids.size() || sessions.empty()) {
        throw Error(ErrorKind::argument,
                    "[session] expected one id per session, at least one; found " +
                        std::to_string(sessions.size()) + " sessions and " +
                        std::to_string(ids.size()) + " ids");
    }
    std::vector<Session*> sorted = sessions;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
        throw Error(ErrorKind::argument, "[session] expected each session once in a batch");
    }
    for (size_t i = 0; i < sessions.size(); ++i) {
        if (sessions[i]->model_ != sessions[0]->model_) {
            throw Error(ErrorKind::argument, "[session] expected sessions of one model in a batch");
        }
        sessions[i]->check_ids({ids[i]});
        sessions[i]->check_fits(1);
        sessions[i]->positions_after({ids[i]}, /*has_images=*/false);
    }
    // Results are kept back until every group is computed, so that an error changes nothing.
    std::vector<std::vector<float>> logits(sessions.size());
    for (size_t first = 0, n = 0; first < sessions.size(); first += n) {
        n = 1;
        while (first + n < sessions.size() && n < Decoder::kMaxSequences &&
               sessions[first]->shares_rope() && sessions[first + n]->shares_rope()) {
            ++n;
        }
        run_batch(sessions, ids, first, n, logits, interrupt);
    }
    for (size_t i = 0; i < sessions.size(); ++i) {
        sessions[i]->logits_ = std::move(logits[i]);
        const std::vector<int32_t> position = sessions[i]->positions_after({ids[i]}, false);
        sessions[i]->positions_.push_back(position.front());
        ++sessions[i]->n_past_;
    }
}

// Dynamic NTK gives a sequence beyond the trained length a base of its own.
bool Session::shares_rope() const {
    const RopeConfig& rope = model_->config().decoder.rope;
    const int32_t next = positions_after({0}, /*has_images=*/false).front();
    return rope.scaling != RopeScaling::dynamic || span(next) <= rope.original_context;
}

void Session::run_batch(const std::vector<Session*>& sessions, const std::vector<int32_t>& ids,
                        size_t first, size_t n_sessions, std::vector<std::vector<float>>& logits,
                        Interrupt* interrupt) {
    const Model& model = *sessions[first]->model_;
    const DecoderConfig& c = model.config().decoder;
    const int64_t n = static_cast<int64_t>(n_sessions);
    Graph g(model.decoder().max_nodes(n_sessions));
    ggml_tensor* id_input = g.input(GGML_TYPE_I32, n);
    ggml_tensor* positions = g.input(GGML_TYPE_I32, n);
    std::vector<SequenceStep> steps;
    std::vector<int32_t> position_values;
    std::vector<int64_t> row_values;
    int64_t n_longest = 0;
    for (int64_t i = 0; i < n; ++i) {
        const Session& session = *sessions[first + static_cast<size_t>(i)];
        ggml_tensor* row = g.input(GGML_TYPE_I64, 1);
        steps.push_back({&session.cache_, i, session.n_past_, /*n_new=*/1, row, /*mask=*/nullptr});
        position_values.push_back(session.positions_after({0}, /*has_images=*/false).front());
        row_values.push_back(session.n_past_);
        n_longest = std::max(n_longest, session.span(position_values.back()));
    }
    ggml_tensor* x = model.decoder().embed(g, id_input);
    x = model.decoder()(g, x, Rope(c.rope, c.d_head, n_longest), positions, steps);
    ggml_tensor* all_logits = model.decoder().logits(g, x);
    g.output(all_logits);
    model.executor().run(
        g,
        [&] {
            set(id_input, ids.data() + first);
            set(positions, position_values.data());
            for (size_t i = 0; i < steps.size(); ++i) set(steps[i].rows, &row_values[i]);
        },
        [&] {
            const size_t n_vocab = static_cast<size_t>(c.vocab_size);
            for (size_t i = 0; i < steps.size(); ++i) {
                logits[first + i].resize(n_vocab);
                ggml_backend_tensor_get(all_logits, logits[first + i].data(),
                                        i * n_vocab * sizeof(float), n_vocab * sizeof(float));
            }
        },
        interrupt);
}

Sampled Session::sample(Sampler& sampler) const {
    if (logits_.empty()) {
        throw Error(ErrorKind::argument,
                    "[session] expected a prompt before sampling; call prefill");
    }
    return sampler.sample(logits_);
}

void Session::rewind(int64_t n_past) {
    if (n_past < 0 || n_past > n_past_) {
        throw Error(ErrorKind::argument, "[session] expected to keep 0 to " +
                                             std::to_string(n_past_) + " tokens; found " +
                                             std::to_string(n_past));
    }
    n_past_ = n_past;
    positions_.resize(static_cast<size_t>(n_past));
    logits_.clear();
}

}  // namespace crispvl
