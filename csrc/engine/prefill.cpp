#include "engine/prefill.h"

#include <algorithm>
#include <string>
#include <utility>

#include "base/error.h"
#include "nn/sequence_step.h"

namespace crispvl {
namespace {

// Tokens per graph: their activations and attention masks stay small, and a cancel is noticed
// between chunks on every device.
constexpr size_t kChunk = 1024;

}  // namespace

struct Prefill::Chunk {
    std::vector<int32_t> ids;
    std::vector<int32_t> positions;      // in units
    std::vector<int64_t> image_columns;  // columns that take an embedding instead of their id
    int64_t n_past;                      // tokens before the chunk
    bool is_last;
};

void prefill(Session& session, const std::vector<int32_t>& ids, const float* embeddings,
             int64_t n_rows, Interrupt* interrupt, Trace* trace) {
    Prefill work(session, ids, embeddings, n_rows);
    while (!work.done()) work.step(interrupt, trace);
}

Prefill::Prefill(Session& session, std::vector<int32_t> ids, const float* embeddings,
                 int64_t n_rows, int64_t n_total)
    : session_(session),
      ids_(std::move(ids)),
      embeddings_(embeddings),
      n_rows_(embeddings != nullptr ? n_rows : 0),
      n_total_(n_total),
      n_start_(session.n_past_) {
    if (ids_.empty()) {
        throw Error(ErrorKind::argument,
                    "[session] expected a prompt; found an empty one; give its tokens");
    }
    session.check_ids(ids_);
    const int32_t context_id = session.model_->config().image.context_id;
    const int64_t n_image =
        embeddings == nullptr ? 0 : std::count(ids_.begin(), ids_.end(), context_id);
    if (embeddings != nullptr && n_image != n_rows) {
        throw Error(ErrorKind::argument,
                    "[session] expected one image token in the prompt per image "
                    "embedding; found " +
                        std::to_string(n_image) + " tokens and " + std::to_string(n_rows) +
                        " embeddings; give the tiles of this prompt");
    }
    session.check_fits(static_cast<int64_t>(ids_.size()));
    positions_ = session.positions_after(ids_, embeddings != nullptr);
    if (n_total_ == 0) n_total_ = session.span(positions_.back());
}

// What follows the last image is a chunk of its own: to the last bit it is computed as it is where
// the image is in the cache already, for another question.
size_t Prefill::chunk_end() const {
    const size_t end = std::min(ids_.size(), i_next_ + kChunk);
    if (embeddings_ == nullptr) return end;
    const int32_t context_id = session_.model_->config().image.context_id;
    const auto last = std::find(ids_.rbegin(), ids_.rend(), context_id).base();
    const size_t n_head = static_cast<size_t>(last - ids_.begin());
    return i_next_ < n_head ? std::min(end, n_head) : end;
}

Prefill::Chunk Prefill::next_chunk(size_t end) const {
    const auto part = [&](const std::vector<int32_t>& all) {
        return std::vector<int32_t>(all.begin() + static_cast<std::ptrdiff_t>(i_next_),
                                    all.begin() + static_cast<std::ptrdiff_t>(end));
    };
    Chunk chunk{part(ids_),
                part(positions_),
                {},
                n_start_ + static_cast<int64_t>(i_next_),
                end == ids_.size()};
    const int32_t context_id = session_.model_->config().image.context_id;
    for (size_t i = 0; embeddings_ != nullptr && i < chunk.ids.size(); ++i) {
        if (chunk.ids[i] == context_id) chunk.image_columns.push_back(static_cast<int64_t>(i));
    }
    return chunk;
}

void Prefill::step(Interrupt* interrupt, Trace* trace) {
    if (done() || session_.n_past_ != n_start_) {
        throw Error(ErrorKind::argument,
                    "[session] expected a prompt with a chunk left, in a session that was not "
                    "used in between; found otherwise; begin the prompt again");
    }
    if (i_next_ == 0) align_rope(session_, n_total_, interrupt);
    const Chunk chunk = next_chunk(trace != nullptr ? ids_.size() : chunk_end());
    run(chunk, interrupt, trace);
    i_next_ += chunk.ids.size();
    if (embeddings_ != nullptr) {
        embeddings_ += static_cast<int64_t>(chunk.image_columns.size()) *
                       session_.model_->config().decoder.width;
    }
    if (!chunk.is_last) return;
    std::vector<float> rows;
    if (session_.remembers() && embeddings_ != nullptr) {
        const int64_t width = session_.model_->config().decoder.width;
        rows.assign(embeddings_ - n_rows_ * width, embeddings_);
    }
    session_.commit(ids_, std::move(rows), positions_, n_total_);
}

void Prefill::align_rope(Session& session, int64_t n_total, Interrupt* interrupt) {
    if (!session.remembers() || session.n_past_ == 0) return;
    const bool is_long = session.model_->config().decoder.rope.is_long(n_total);
    if (is_long != session.is_long_ || session.is_stale_) replay(session, n_total, interrupt);
}

void Prefill::replay(Session& session, int64_t n_total, Interrupt* interrupt) {
    const History history = std::move(session.history_);
    const std::vector<int32_t> positions = std::move(session.positions_);
    const std::vector<float> logits = session.logits_;
    const int64_t n_past = session.n_past_, width = session.model_->config().decoder.width;
    session.history_ = {};
    session.positions_.clear();
    session.n_past_ = 0;
    try {
        for (const History::Piece& piece : history.pieces()) {
            const int64_t n_rows = static_cast<int64_t>(piece.rows.size()) / width;
            Prefill work(session, piece.ids, n_rows > 0 ? piece.rows.data() : nullptr, n_rows,
                         n_total);
            while (!work.done()) work.step(interrupt);
        }
        session.is_stale_ = false;
    } catch (...) {
        session.history_ = history;
        session.positions_ = positions;
        session.logits_ = logits;
        session.n_past_ = n_past;
        session.is_stale_ = true;
        throw;
    }
}

void Prefill::run(const Chunk& chunk, Interrupt* interrupt, Trace* trace) {
    const Model& model = *session_.model_;
    const DecoderConfig& c = model.config().decoder;
    const Decoder& decoder = model.decoder();
    const int64_t n_new = static_cast<int64_t>(chunk.ids.size());
    const int64_t n_image = static_cast<int64_t>(chunk.image_columns.size());

    Graph g(decoder.max_nodes(/*n_sequences=*/1), /*taps_enabled=*/trace != nullptr,
            model.is_exact());
    ggml_tensor* ids = g.input(GGML_TYPE_I32, n_new);
    ggml_tensor* positions = g.input(GGML_TYPE_I32, n_new);
    const SequenceStep sequence =
        sequence_step(g, session_.cache_, /*i_first=*/0, chunk.n_past, n_new, c.window);
    ggml_tensor* x = decoder.embed(g, ids);
    ggml_tensor *image_rows = nullptr, *image_columns = nullptr;
    if (n_image > 0) {
        image_rows = g.input(GGML_TYPE_F32, c.width, n_image);
        image_columns = g.input(GGML_TYPE_I64, n_image);
        x = ggml_set_rows(g.ctx(), x, image_rows, image_columns);
    }
    x = g.tap(x, "llm_embed");
    x = decoder(g, x, decoder.rope(g, n_total_), positions, {sequence});
    ggml_tensor* logits = nullptr;
    if (chunk.is_last) {
        ggml_tensor* last = ggml_view_2d(g.ctx(), x, c.width, 1, x->nb[1],
                                         static_cast<size_t>(n_new - 1) * x->nb[1]);
        logits = decoder.logits(g, last);
        g.output(logits);
    } else {
        g.expand(x);
    }

    model.executor().run(
        g,
        [&] {
            set_input(ids, chunk.ids.data());
            set_input(positions, chunk.positions.data());
            set_inputs(sequence);
            set_input(image_rows, embeddings_);
            set_input(image_columns, chunk.image_columns.data());
        },
        [&] {
            std::vector<float>& values = session_.next_logits_;
            if (logits != nullptr) {
                values.resize(static_cast<size_t>(c.vocab_size));
                ggml_backend_tensor_get(logits, values.data(), 0, ggml_nbytes(logits));
            }
            if (trace != nullptr) {
                read_taps(g, *trace);
                (*trace)["logits"] = {{c.vocab_size}, values};
            }
        },
        interrupt);
}

}  // namespace crispvl
