// ggml writes its complaints to one process-wide log callback. We keep the errors of each
// thread, so that it can become part of an Error, and print nothing.
#pragma once

#include <string>

namespace crispvl {

// Routes ggml's log into the per-thread sink. Idempotent and thread-safe.
void install_log_sink();

// Returns ggml's error texts on this thread since the last call, in one line.
std::string take_log_error();

}  // namespace crispvl
