// A loaded InternVL: configuration, tokenizer, weights and the backends they are on. Immutable and
// shared by its sessions.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gguf/source.h"
#include "model/config.h"
#include "model/decoder.h"
#include "model/distinct_tiles.h"
#include "model/load_options.h"
#include "model/routing.h"
#include "model/trace.h"
#include "runtime/executor.h"
#include "text/tokenizer.h"

namespace crispvl {

struct Network;

// Called after each group of tiles with tiles done and in total.
using TileProgress = std::function<void(int64_t n_done, int64_t n_total)>;

class Model {
public:
    // Throws Error{not_found, model_file, device, memory, argument, cancelled}.
    explicit Model(const LoadOptions& options);

    const ModelSource& source() const { return source_; }
    const Tokenizer& tokenizer() const { return *tokenizer_; }
    const VocabData& vocab() const { return tokenizer_->vocab(); }
    bool has_weights() const { return network_ != nullptr; }
    // False for a bare vocabulary and for a text model without its projector.
    bool has_config() const { return config_.has_value(); }
    // Throws Error{argument} without one.
    const ModelConfig& config() const;
    // The three below throw Error{argument} for a model loaded with vocab_only.
    const Decoder& decoder() const;
    Executor& executor() const;
    const Backends& backends() const;

    // What the options name; else F16, or F32 when asked to be exact or when the weights are F32: a
    // cache coarser than its weights would be the largest error of the whole model.
    ggml_type kv_type() const;
    size_t kv_bytes_per_token() const;
    const std::vector<size_t>& weight_bytes() const;  // per backend
    std::vector<ggml_backend_t> layer_backends() const;
    // The families of kernels in use: "avx512_bf16", "avx512_vnni", "ggml".
    std::vector<std::string> kernels() const;
    size_t packed_bytes() const;  // a CPU's copies of weights for its own kernels
    bool is_exact() const { return options_.exact; }
    bool measures_only() const { return options_.measure_only; }

    // uint8 RGB tiles [n_tiles, px, px, 3] -> image tokens [n_tiles, tokens_per_tile, width].
    // `trace` (may be null) receives the encoder's stages for all tiles.
    std::vector<float> encode(const uint8_t* tiles, int64_t n_tiles, Interrupt* interrupt,
                              const TileProgress& progress, Trace* trace = nullptr) const;
    // For a model with a router: tiles with all their tokens and with few, and the scores that
    // route() chooses by. Throws Error{argument} for another model.
    TileVariants encode_variants(const uint8_t* tiles, int64_t n_tiles, Interrupt* interrupt,
                                 const TileProgress& progress, Trace* trace = nullptr) const;

    // Tiles that one graph encodes: parts of this size are encoded alike.
    int64_t tiles_per_graph() const;
    // Callers whose graphs are computed at once, with a thread each, where there are several.
    int n_lanes() const { return executor().n_lanes(); }

private:
    const Network& network() const;
    int64_t tile_bytes() const;
    // A trace holds the stages of all tiles, and memory is planned for tiles that all differ.
    DistinctTiles distinct_tiles(const uint8_t* tiles, int64_t n_tiles, const Trace* trace) const;
    // Calls group(pixels, first, n) for all groups of tiles that differ.
    using Group = std::function<void(const uint8_t*, int64_t, int64_t)>;
    void for_groups(const DistinctTiles& tiles, const TileProgress& progress,
                    const Group& group) const;

    LoadOptions options_;
    ModelSource source_;
    std::unique_ptr<Tokenizer> tokenizer_;
    std::optional<ModelConfig> config_;
    std::shared_ptr<Network> network_;  // everything that needs weights
};

}  // namespace crispvl
