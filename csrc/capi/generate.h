// The loop that answers a prompt: encode, prefill, then one token at a time.
#pragma once

#include <vector>

#include "capi/handles.h"

namespace crispvl::capi {

struct Request {
    std::vector<int32_t> prompt_ids;
    std::vector<uint8_t> tiles;  // [n_tiles, tile_px, tile_px, 3] of all images
    int64_t n_tiles = 0;
};

/// Writes the answer into `result` as it comes, so that it holds what there is when this throws.
/// Throws Error{cancelled, context_overflow, memory, device}.
void generate(const crispvl_model& model, const Request& request,
              const crispvl_recognize_params& params, crispvl_result& result);

}  // namespace crispvl::capi
