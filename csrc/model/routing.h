// What a router's scores make of a prompt: tiles that few tokens are enough for give the others up.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace crispvl {

// A prompt's tiles with all their tokens and with few.
struct TileVariants {
    std::vector<float> large, small;  // [n_tiles, tokens_per_tile or tokens_per_small_tile, width]
    std::vector<float> scores;        // [n_tiles]: how likely few are enough
};

// Which tiles few tokens are enough for: those above the quantile `relative_threshold` of all the
// prompt's scores that reach `absolute_threshold`.
std::vector<bool> choose_small(const RouterConfig& config, const std::vector<float>& scores);

struct RoutedPrompt {
    std::vector<int32_t> ids;  // without the image tokens that were given up
    std::vector<float> rows;   // [image tokens, width]
};

// `ids` hold tokens_per_tile image tokens for each tile. Throws Error{argument} where they do not.
RoutedPrompt route(const ModelConfig& config, const std::vector<int32_t>& ids,
                   const TileVariants& tiles);

}  // namespace crispvl
