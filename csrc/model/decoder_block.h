// A layer of the decoder: the plain block, and the same on our CPU kernels.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "model/config.h"
#include "nn/attention.h"
#include "nn/cpu/operand.h"
#include "nn/cpu/ready_panels.h"
#include "nn/experts.h"
#include "nn/mlp.h"

namespace crispvl {

// x += attention(norm(x)); x += mlp(norm(x))
class DecoderBlock {
public:
    DecoderBlock(const Scope& scope, const DecoderConfig& config, int64_t window);
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                            const std::vector<SequenceStep>& steps, size_t i_layer) const;

    // Every linear but those of experts.
    std::vector<const Linear*> linears() const;

    // The second half: x + mlp(norm(x)).
    ggml_tensor* feed_forward(Graph& g, ggml_tensor* x) const;

    const Norm& attention_norm() const { return attention_norm_; }
    const Attention& attention() const { return attention_; }
    const Norm& mlp_norm() const { return mlp_norm_; }
    // The MLP that our kernels, which know only silu, can serve; else null.
    const GatedMlp* plain_mlp() const {
        return mlp_ && mlp_->gate_kind() == GateKind::silu ? &*mlp_ : nullptr;
    }

private:
    Norm attention_norm_;
    Attention attention_;
    Norm mlp_norm_;
    std::optional<GatedMlp> mlp_;
    std::optional<Experts> experts_;  // in place of mlp_
};

// The same block with products of our own: StreamedLinear for prompts, DirectLinear for a few
// tokens. An MLP that these cannot serve stays the plain block's.
template <typename Product>
class KernelDecoderBlock {
public:
    // None where the kernels do not read the weights. `block` and `panels` outlive the result.
    static std::optional<KernelDecoderBlock> of(const DecoderBlock& block,
                                                const ReadyPanels& panels) {
        const Attention& a = block.attention();
        const std::optional<Product> qkv = Product::joined({&a.q(), &a.k(), &a.v()}, panels);
        const std::optional<Product> out = Product::added(a.out(), panels);
        if (!qkv || !out) return std::nullopt;
        const GatedMlp* mlp = block.plain_mlp();
        if (mlp == nullptr) return KernelDecoderBlock(block, *qkv, *out, std::nullopt);
        const std::optional<Gated<Product>> gated =
            Product::gated(mlp->gate(), mlp->up(), mlp->down(), panels);
        if (!gated) return std::nullopt;
        return KernelDecoderBlock(block, *qkv, *out, gated);
    }

    // `scratch`: the products' working memory.
    ggml_tensor* operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                            const std::vector<SequenceStep>& steps, size_t i_layer,
                            ggml_tensor* scratch) const {
        ggml_tensor* y = qkv_(g, attention_norm_(g, x), /*residual=*/nullptr, scratch);
        y = block_->attention().attend_past(g, y, rope, positions, steps, i_layer);
        x = out_(g, out_.input(g, y), /*residual=*/x, scratch);
        if (!mlp_) return block_->feed_forward(g, x);
        y = mlp_->gate_up(g, (*mlp_norm_)(g, x), /*residual=*/nullptr, scratch);
        return mlp_->down(g, mlp_->down.input(g, y), /*residual=*/x, scratch);
    }

    bool uses(Operand operand) const {
        return qkv_.operand() == operand || out_.operand() == operand ||
               (mlp_ && mlp_->down.operand() == operand);
    }

private:
    KernelDecoderBlock(const DecoderBlock& block, const Product& qkv, const Product& out,
                       std::optional<Gated<Product>> mlp)
        : block_(&block),
          qkv_(qkv),
          attention_norm_(qkv_.norm_before(block.attention_norm())),
          out_(out),
          mlp_(std::move(mlp)) {
        if (mlp_) mlp_norm_.emplace(mlp_->gate_up.norm_before(block.mlp_norm()));
    }

    const DecoderBlock* block_;
    Product qkv_;
    typename Product::Norm attention_norm_;
    Product out_;
    std::optional<Gated<Product>> mlp_;
    std::optional<typename Product::Norm> mlp_norm_;  // with mlp_
};

}  // namespace crispvl
