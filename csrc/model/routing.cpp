#include "model/routing.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace crispvl {
namespace {

// With linear interpolation between the two values around it, as torch.quantile has it.
float quantile(std::vector<float> values, float share) {
    std::sort(values.begin(), values.end());
    const double at = static_cast<double>(share) * static_cast<double>(values.size() - 1);
    const double below = std::floor(at);
    const float low = values[static_cast<size_t>(below)];
    const float high = values[static_cast<size_t>(std::ceil(at))];
    const float weight = static_cast<float>(at - below);
    return weight < 0.5f ? low + weight * (high - low) : high - (high - low) * (1 - weight);
}

}  // namespace

std::vector<bool> choose_small(const RouterConfig& config, const std::vector<float>& scores) {
    std::vector<bool> small;
    if (scores.empty()) return small;
    const float relative = quantile(scores, config.relative_threshold);
    for (const float score : scores) {
        small.push_back(score > relative && score >= config.absolute_threshold);
    }
    return small;
}

RoutedPrompt route(const ModelConfig& config, const std::vector<int32_t>& ids,
                   const TileVariants& tiles) {
    const ImageConfig& image = config.image;
    const std::vector<bool> small = choose_small(*config.router, tiles.scores);
    const int64_t n_tiles = static_cast<int64_t>(small.size());
    const int64_t n_found = std::count(ids.begin(), ids.end(), image.context_id);
    if (n_found != n_tiles * image.tokens_per_tile) {
        throw Error(ErrorKind::argument,
                    "[prompt] expected " + std::to_string(n_tiles * image.tokens_per_tile) +
                        " image tokens for " + std::to_string(n_tiles) + " tiles; found " +
                        std::to_string(n_found) + "; give the prompt of these tiles");
    }
    RoutedPrompt routed;
    int64_t i_image = 0;
    for (const int32_t id : ids) {
        if (id != image.context_id) {
            routed.ids.push_back(id);
            continue;
        }
        const int64_t i_tile = i_image / image.tokens_per_tile;
        const int64_t i_token = i_image % image.tokens_per_tile;
        const bool is_small = small[static_cast<size_t>(i_tile)];
        ++i_image;
        if (is_small && i_token >= image.tokens_per_small_tile) continue;
        routed.ids.push_back(id);
        const std::vector<float>& rows = is_small ? tiles.small : tiles.large;
        const int64_t n_rows = is_small ? image.tokens_per_small_tile : image.tokens_per_tile;
        const int64_t width = config.projector.d_out;
        const float* row = rows.data() + (i_tile * n_rows + i_token) * width;
        routed.rows.insert(routed.rows.end(), row, row + width);
    }
    return routed;
}

}  // namespace crispvl
