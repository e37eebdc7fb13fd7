// A prompt on its way into a session, a chunk at a time, so that other work can go in between.
#pragma once

#include <vector>

#include "engine/session.h"

namespace crispvl {

// Appends `ids`. Ids equal to the image context token take the next of the `n_rows` rows of
// `embeddings` [n_rows, width], in order. Afterwards the session's logits belong to the last id.
// On any error the session is as it was before. Throws Error{argument, context_overflow,
// cancelled, memory}.
void prefill(Session& session, const std::vector<int32_t>& ids, const float* embeddings,
             int64_t n_rows, Interrupt* interrupt, Trace* trace = nullptr);

class Prefill {
public:
    // As prefill(). `session` and `embeddings` have to outlive the work. `n_total`:
    // positions of the sequence that this is the beginning of; 0: it is all there is.
    Prefill(Session& session, std::vector<int32_t> ids, const float* embeddings, int64_t n_rows,
            int64_t n_total = 0);

    bool done() const { return i_next_ == ids_.size(); }

    // Computes the next chunk. With the last one the session takes the prompt; until then it is as
    // it was. Throws Error{cancelled, memory}, and Error{argument} where the session was used in
    // between.
    void step(Interrupt* interrupt, Trace* trace = nullptr);

    // Computes the tokens in a session's cache anew where a sequence of `n_total` positions rotates
    // its keys in another way than they were (longrope), as transformers does.
    static void align_rope(Session& session, int64_t n_total, Interrupt* interrupt);

private:
    static void replay(Session& session, int64_t n_total, Interrupt* interrupt);
    struct Chunk;  // the part of the prompt that one graph computes

    size_t chunk_end() const;
    Chunk next_chunk(size_t end) const;
    void run(const Chunk& chunk, Interrupt* interrupt, Trace* trace);

    Session& session_;
    std::vector<int32_t> ids_, positions_;  // positions in units
    const float* embeddings_;               // of the image tokens not computed yet
    int64_t n_rows_;                        // image tokens in all
    int64_t n_total_;                       // positions of the whole sequence
    int64_t n_start_;                       // tokens in the session before
    size_t i_next_ = 0;
};

}  // namespace crispvl
