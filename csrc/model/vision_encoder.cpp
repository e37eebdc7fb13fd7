#include "model/vision_encoder.h"

#include <algorithm>

#include "gguf/schema.h"

namespace crispvl {
namespace {

AttentionConfig attention_config(const VisionConfig& c) {
    return {c.width,
            c.n_heads,
            /*n_kv_heads=*/c.n_heads,
            /*d_head=*/c.width / c.n_heads,
            c.qkv_bias,
            /*out_bias=*/true,
            c.qk_norm == VisionQkNorm::full ? QkNorm::full : QkNorm::none,
            c.norm_epsilon,
            "attn_out"};
}

// A bias of the keys adds the same to all scores of a query, which the softmax takes away again; in
// the keys it would take the few digits of BF16 that tell them apart.
PackedLinear pack_qkv(const Attention& a, Operand operand, int n_threads) {
    const Linear k_without_bias(a.k().weight());
    return {{&a.q(), &k_without_bias, &a.v()}, operand, kernels::Epilogue::store_bf16, n_threads};
}

}  // namespace

VisionBlock::VisionBlock(const Scope& scope, const VisionConfig& c)
    : norm1_(scope / "ln1", c.norm, c.width, c.norm_epsilon),
      attention_(scope, attention_config(c)),
      scale1_((scope / "ls1").weight({c.width})),
      norm2_(scope / "ln2", c.norm, c.width, c.norm_epsilon),
      mlp_(scope / "ffn_up", scope / "ffn_down", c.width, c.d_mlp, c.width),
      scale2_((scope / "ls2").weight({c.width})) {}

ggml_tensor* VisionBlock::operator()(Graph& g, ggml_tensor* x) const {
    x = ggml_add(g.ctx(), x, ggml_mul(g.ctx(), attention_(g, norm1_(g, x)), scale1_));
    return ggml_add(g.ctx(), x, ggml_mul(g.ctx(), mlp_(g, norm2_(g, x)), scale2_));
}

PackedVisionBlock::PackedVisionBlock(const VisionBlock& b, Operand operand, int n_threads)
    : norm1_(b.norm1_, operand),
      qkv_(pack_qkv(b.attention_, operand, n_threads)),
      attention_(b.attention_.config().n_heads, b.attention_.config().d_head),
      out_({&b.attention_.out()}, operand, kernels::Epilogue::residual_f32, n_threads, b.scale1_),
      norm2_(b.norm2_, operand),
      up_({&b.mlp_.up()}, operand, kernels::Epilogue::gelu, n_threads),
      down_({&b.mlp_.down()}, operand, kernels::Epilogue::residual_f32, n_threads, b.scale2_) {}

Operand PackedVisionBlock::best_operand(const VisionBlock& b) {
    const Attention& a = b.attention_;
    return packs_as_int8({&a.q(), &a.k(), &a.v(), &a.out(), &b.mlp_.up(), &b.mlp_.down()})
               ? Operand::int8
               : Operand::bf16;
}

ggml_tensor* PackedVisionBlock::operator()(Graph& g, ggml_tensor* x, ggml_tensor* scratch) const {
    ggml_tensor* y = attention_(g, qkv_(g, norm1_(g, x)), scratch);
    x = out_(g, out_.input(g, y), /*residual=*/x);
    return down_(g, up_(g, norm2_(g, x)), /*residual=*/x);
}

size_t PackedVisionBlock::n_bytes() const {
    return qkv_.n_bytes() + out_.n_bytes() + up_.n_bytes() + down_.n_bytes();
}

VisionEncoder::VisionEncoder(Weights& weights, const VisionConfig& c)
    : config_(c),
      patch_embedding_(Scope(weights, schema::kPatchEmbedding), c.d_patch(), c.width,
                       /*bias=*/true),
      class_embedding_(weights.take(schema::kClassEmbedding, {c.width})),
      position_embedding_(weights.take(schema::kPositionEmbedding, {c.width, c.n_positions()})) {
    for (int64_t i = 0; i < c.n_layers; ++i) {
        blocks_.emplace_back(Scope(weights, schema::vision_block(i)), c);
    }
}

ggml_tensor* VisionEncoder::embed(Graph& g, ggml_tensor* patches) const {
    ggml_tensor* x = packed_embedding_  // [width, n_patches, n_tiles]
                         ? (*packed_embedding_)(g, packed_embedding_->input(g, patches))
                         : patch_embedding_(g, patches);
    ggml_tensor* first = ggml_repeat_4d(g.ctx(), class_embedding_, config_.width, 1, x->ne[2], 1);
    x = ggml_concat(g.ctx(), first, x, /*dim=*/1);
    return ggml_add(g.ctx(), x, position_embedding_);
}

ggml_tensor* VisionEncoder::operator()(Graph& g, ggml_tensor* patches) const {
    ggml_tensor* x = g.tap(embed(g, patches), "vis_patch_embed");
    ggml_tensor* scratch =
        packed_.empty() ? nullptr
                        : packed_.front().attention().scratch(g, config_.n_positions(), n_threads_);
    for (size_t i = 0; i < blocks_.size(); ++i) {
        x = packed_.empty() ? blocks_[i](g, x) : packed_[i](g, x, scratch);
        g.tap(x, "vis_layer_" + std::to_string(i));
    }
    return x;
}

void VisionEncoder::pack(int n_threads) {
    const bool suits = config_.qk_norm == VisionQkNorm::none &&
                       PackedAttention::supports(config_.width / config_.n_heads) &&
                       config_.width % 2 == 0 && config_.d_mlp % 2 == 0 &&
                       config_.d_patch() % 2 == 0;
    if (kernels::bf16_kernels_name() == nullptr || !suits) return;
    n_threads_ = n_threads;
    packed_embedding_.emplace(std::vector<const Linear*>{&patch_embedding_}, Operand::bf16,
                              kernels::Epilogue::store_f32, n_threads);
    packed_.reserve(blocks_.size());
    for (const VisionBlock& block : blocks_) {
        packed_.emplace_back(block, PackedVisionBlock::best_operand(block), n_threads);
    }
}

bool VisionEncoder::uses(Operand operand) const {
    return std::any_of(packed_.begin(), packed_.end(),
                       [&](const PackedVisionBlock& block) { return block.operand() == operand; });
}

size_t VisionEncoder::packed_bytes() const {
    size_t n_bytes = packed_embedding_ ? packed_embedding_->n_bytes() : 0;
    for (const PackedVisionBlock& block : packed_) n_bytes += block.n_bytes();
    return n_bytes;
}

void VisionEncoder::cut_patches(const uint8_t* tiles, int64_t n_tiles,
                                std::vector<float>& patches) const {
    const int64_t tile = config_.tile_px, patch = config_.patch_px, grid = config_.grid();
    float value[3][256];  // of every byte, normalised, per channel
    for (size_t c = 0; c < 3; ++c) {
        for (int byte = 0; byte < 256; ++byte) {
            const float scaled = static_cast<float>(byte) / 255.0f;
            value[c][byte] = (scaled - config_.mean[c]) / config_.std[c];
        }
    }
    patches.resize(static_cast<size_t>(n_tiles * config_.n_patches() * config_.d_patch()));
    float* out = patches.data();
    for (int64_t i_tile = 0; i_tile < n_tiles; ++i_tile) {
        const uint8_t* pixels = tiles + i_tile * tile * tile * 3;
        for (int64_t i_patch = 0; i_patch < grid * grid; ++i_patch) {
            const int64_t top = i_patch / grid * patch, left = i_patch % grid * patch;
            for (int64_t c = 0; c < 3; ++c) {
                for (int64_t y = top; y < top + patch; ++y) {
                    const uint8_t* row = pixels + (y * tile + left) * 3 + c;
                    for (int64_t x = 0; x < patch; ++x) *out++ = value[c][row[x * 3]];
                }
            }
        }
    }
}

}  // namespace crispvl
