// The model's architecture as plain data, read only from the file's keys. One fact, one field:
// the graph branches on these switches and on nothing else.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "nn/experts.h"
#include "nn/norm.h"
#include "nn/rope.h"

namespace crispvl {

enum class VisionQkNorm { none, full };       // full: RMS over all heads together (InternViT-6B)
enum class DecoderQkNorm { none, per_head };  // per_head: RMS over each head (Qwen3)

struct VisionConfig {
    int64_t n_layers, width, n_heads, d_mlp;
    int64_t patch_px, tile_px;
    NormKind norm;
    float norm_epsilon;
    VisionQkNorm qk_norm;
    bool qkv_bias;
    std::array<float, 3> mean, std;  // of RGB values in 0..1

    int64_t grid() const { return tile_px / patch_px; }  // patches along one edge
    int64_t n_patches() const { return grid() * grid(); }
    int64_t n_positions() const { return n_patches() + 1; }  // the class token is first
    int64_t d_patch() const { return 3 * patch_px * patch_px; }
};

struct ProjectorConfig {
    int64_t unshuffle;  // patches per output token along one edge
    float norm_epsilon;
    int64_t d_in, d_out;
};

// InternVL3.5-Flash: finds the tiles that few tokens are enough for.
struct RouterConfig {
    int64_t n_heads;
    float norm_epsilon;
    // A tile gives tokens up where its score is above this quantile of all tiles' and reaches the
    // absolute one.
    float relative_threshold, absolute_threshold;
};

struct DecoderConfig {
    std::string arch;
    int64_t n_layers, width, n_heads, n_kv_heads, d_head, d_mlp, vocab_size, context_length;
    float norm_epsilon;
    bool qkv_bias, attn_out_bias, mlp_bias;
    DecoderQkNorm qk_norm;
    bool sinks;      // a learnt logit per head joins each softmax and takes part of its weight
    int64_t window;  // newest keys that a query of a sliding layer sees, its own among them
    std::vector<bool> sliding_layers;  // of each layer, whether it slides
    GateConfig gate;
    std::optional<ExpertsConfig> experts;  // in place of the MLP of d_mlp
    bool tied_head;
    RopeConfig rope;

    // Keys a query of layer `i` sees; 0: all.
    int64_t window_of(size_t i) const { return sliding_layers[i] ? window : 0; }
};

struct ImageConfig {
    int64_t min_tiles, max_tiles;
    bool thumbnail;
    bool multi_scale;                      // the only page of a prompt is cut into two grids
    int32_t start_id, end_id, context_id;  // <img>, </img>, <IMG_CONTEXT>
    int64_t tokens_per_tile;
    int64_t tokens_per_small_tile;  // where a router has it give tokens up
};

struct ChatConfig {
    std::string template_name, jinja, prompt_text, prompt_markdown;
    std::optional<std::string> system_message;  // absent: the format's own
    std::vector<int32_t> stop_ids;
};

struct ModelConfig {
    VisionConfig vision;
    ProjectorConfig projector;
    std::optional<RouterConfig> router;
    DecoderConfig decoder;
    ImageConfig image;
    ChatConfig chat;
};

}  // namespace crispvl
