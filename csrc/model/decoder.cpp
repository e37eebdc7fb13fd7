#include "model/decoder.h"

#include "model/schema.h"

namespace crispvl {
namespace {

AttentionConfig attention_config(const DecoderConfig& c) {
    return {c.width,
            c.n_heads,
            c.n_kv_heads,
            c.d_head,
            c.qkv_bias,
            c.attn_out_bias,
            c.qk_norm == DecoderQkNorm::per_head ? QkNorm::per_head : QkNorm::none,
            c.norm_epsilon,
            "attn_output"};
}

ggml_tensor* embedding_table(Weights& weights, const DecoderConfig& c) {
    ggml_tensor* table =
        weights.take(std::string(schema::kTokenEmbedding) + ".weight", {c.width, c.vocab_size});
    weights.keep_on_host(table);
    return table;
}

Linear output_head(Weights& weights, const DecoderConfig& c, ggml_tensor* embedding,
                   bool separate_head) {
    if (!c.tied_head) {
        return Linear(Scope(weights, schema::kOutput), c.width, c.vocab_size, /*bias=*/false);
    }
    if (!separate_head) return Linear(embedding);
    return Linear(weights.take_again(std::string(schema::kTokenEmbedding) + ".weight",
                                     {c.width, c.vocab_size}));
}

}  // namespace

DecoderBlock::DecoderBlock(const Scope& scope, const DecoderConfig& c)
    : attention_norm_(scope / "attn_norm", NormKind::rms_norm, c.width, c.norm_epsilon),
      attention_(scope, attention_config(c)),
      mlp_norm_(scope / "ffn_norm", NormKind::rms_norm, c.width, c.norm_epsilon),
      mlp_(scope, c.width, c.d_mlp, c.mlp_bias) {}

ggml_tensor* DecoderBlock::operator()(Graph& g, ggml_tensor* x, const Rope& rope,
                                      ggml_tensor* positions,
                                      const std::vector<SequenceStep>& steps,
                                      size_t i_layer) const {
    x = ggml_add(g.ctx(), x,
                 attention_(g, attention_norm_(g, x), rope, positions, steps, i_layer));
    return ggml_add(g.ctx(), x, mlp_(g, mlp_norm_(g, x)));
}

Decoder::Decoder(Weights& weights, const DecoderConfig& c, bool separate_head)
    : embedding_(embedding_table(weights, c)),
      output_norm_(Scope(weights, schema::kOutputNorm), NormKind::rms_norm, c.width, c.norm_epsilon),
      head_(output_head(weights, c, embedding_, separate_head)) {
    for (int64_t i = 0; i < c.n_layers; ++i) {
        blocks_.emplace_back(Scope(weights, schema::text_block(i)), c);
    }
}

ggml_tensor* Decoder::embed(Graph& g, ggml_tensor* ids) const {
    return ggml_get_rows(g.ctx(), embedding_, ids);
}

ggml_tensor* Decoder::operator()(Graph& g, ggml_tensor* x, const Rope& rope, ggml_tensor* positions,
                                 const std::vector<SequenceStep>& steps) const {
    for (size_t i = 0; i < blocks_.size(); ++i) {
        x = g.tap(blocks_[i](g, x, rope, positions, steps, i), "llm_layer_" + std::to_string(i));
    }
    return g.tap(output_norm_(g, x), "llm_final_norm");
}

}  // namespace crispvl
