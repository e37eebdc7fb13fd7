// What a caller wants of an answer.
#pragma once

#include <cstdint>
#include <string>

#include "capi/handles.h"
#include "engine/reading.h"

namespace crispvl::capi {

// The params over their defaults. Throws Error{argument}.
crispvl_recognize_params read_params(const crispvl_recognize_params* params);
SamplingOptions sampling_options(const crispvl_recognize_params& params);
// The most tokens of an answer.
int64_t token_limit(const crispvl_recognize_params& params);
// How a page is to be read: AUTO only where the page itself has to tell. Throws Error{argument}
// where the params contradict each other.
crispvl_layout layout_of(const crispvl_model& model, const crispvl_recognize_params& params);
// What to ask of a page for `task`, a crispvl_task.
std::string prompt_for(const ChatConfig& chat, int64_t task);
// Both look at the params when they are called.
TileProgress progress_of(const crispvl_recognize_params& params);
ReadingCallbacks reading_callbacks(const crispvl_recognize_params& params);

}  // namespace crispvl::capi
