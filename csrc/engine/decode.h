// The steps after a prompt: sessions append tokens together, in one pass over the weights. What
// bounds decoding is reading these.
#pragma once

#include <vector>

#include "engine/session.h"

namespace crispvl {

// Appends ids[i], at least one token, to sessions[i]. Afterwards a session has a row of logits for
// each of its tokens. Sessions share one model and differ from one another. On any error all are as
// they were. `interrupt` may be null. Throws Error{argument, context_overflow, cancelled, memory}.
void decode_batch(const std::vector<Session*>& sessions,
                  const std::vector<std::vector<int32_t>>& ids, Interrupt* interrupt);

// Appends one generated token.
void decode(Session& session, int32_t id, Interrupt* interrupt);

}  // namespace crispvl
