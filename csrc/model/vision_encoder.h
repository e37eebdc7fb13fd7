// InternViT: tiles of pixels -> patch embeddings with class token and positions -> transformer.
// Follows OpenGVLab's modeling_intern_vit.py (InternVisionModel).
#pragma once

#include <vector>

#include "model/config.h"
#include "nn/attention.h"
#include "nn/cpu/packed.h"
#include "nn/mlp.h"

namespace crispvl {

// x += ls1 * attention(norm1(x)); x += ls2 * mlp(norm2(x))
class VisionBlock {
public:
    VisionBlock(const Scope& scope, const VisionConfig& config);
    ggml_tensor* operator()(Graph& g, ggml_tensor* x) const;

private:
    friend class PackedVisionBlock;

    Norm norm1_;
    Attention attention_;
    ggml_tensor* scale1_;
    Norm norm2_;
    GeluMlp mlp_;
    ggml_tensor* scale2_;
};

// The same block on our CPU kernels: seven or eight nodes instead of about thirty.
class PackedVisionBlock {
public:
    PackedVisionBlock(const VisionBlock& block, Operand operand, int n_threads);
    // The fastest that keeps the weights' precision.
    static Operand best_operand(const VisionBlock& block);
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, ggml_tensor* scratch) const;
    const PackedAttention& attention() const { return attention_; }
    size_t n_bytes() const;
    Operand operand() const { return qkv_.operand(); }

private:
    PackedNorm norm1_;
    PackedLinear qkv_;
    PackedAttention attention_;
    PackedLinear out_;
    PackedNorm norm2_;
    PackedLinear up_, down_;
};

class VisionEncoder {
public:
    VisionEncoder(Weights& weights, const VisionConfig& config);

    // Moves the blocks onto our CPU kernels where these can serve them. Call once the weights are
    // bound; the tensors' own data is not needed by the blocks any more.
    void pack(int n_threads);
    size_t packed_bytes() const;
    // Whether some block runs on our products of this kind.
    bool uses(Operand operand) const;

    // patches [d_patch, n_patches, n_tiles] -> [width, 1 + n_patches, n_tiles], class token first
    ggml_tensor* operator()(Graph& g, ggml_tensor* patches) const;

    // Normalises uint8 RGB tiles [n_tiles, px, px, 3] (row-major) and cuts them into patches, each
    // with its values in the kernel's order: channel, row, column.
    void cut_patches(const uint8_t* tiles, int64_t n_tiles, std::vector<float>& patches) const;

    size_t max_nodes() const { return 64 + blocks_.size() * 56; }

private:
    ggml_tensor* embed(Graph& g, ggml_tensor* patches) const;

    VisionConfig config_;
    Linear patch_embedding_;
    ggml_tensor* class_embedding_;     // [width]
    ggml_tensor* position_embedding_;  // [width, 1 + n_patches]
    std::vector<VisionBlock> blocks_;
    std::optional<PackedLinear> packed_embedding_;  // with packed_
    std::vector<PackedVisionBlock> packed_;         // empty, or one for each block
    int n_threads_ = 1;
};

}  // namespace crispvl
