"""Names and shapes of a row's tensors as its layout publishes them."""

from __future__ import annotations

from collections.abc import Iterator

from tiny.rows import Row

Shapes = Iterator[tuple[str, tuple[int, ...]]]

_WIDTH, _MLP, _VOCAB, _PATCH_PX, _N_POSITIONS = 64, 96, 352, 14, 17
_N_LAYERS, _N_HEADS = 2, 4


def tensor_shapes(row: Row) -> Shapes:
    """Every tensor of the checkpoint, numpy order."""
    vision = _chat_vision(row) if row.layout == "chat" else _hf_vision(row)
    text = _internlm2(row) if row.family == "internlm2" else _decoder(row)
    for name, shape in (*vision, *text):
        yield _prefixed(name) if row.layout == "hf-prefixed" else name, shape


def _prefixed(name: str) -> str:
    """The spelling of newer transformers."""
    name = name.replace("language_model.model.", "language_model.")
    return name.replace("language_model.", "") if "lm_head" in name else f"model.{name}"


def _linear(name: str, d_out: int, d_in: int, bias: bool = True) -> Shapes:
    yield f"{name}.weight", (d_out, d_in)
    if bias:
        yield f"{name}.bias", (d_out,)


def _norm(name: str, row: Row) -> Shapes:
    yield f"{name}.weight", (_WIDTH,)
    if row.norm == "layer_norm":
        yield f"{name}.bias", (_WIDTH,)


def _chat_vision(row: Row) -> Shapes:
    root = "vision_model.embeddings"
    yield f"{root}.class_embedding", (1, 1, _WIDTH)
    yield f"{root}.position_embedding", (1, _N_POSITIONS, _WIDTH)
    yield f"{root}.patch_embedding.weight", (_WIDTH, 3, _PATCH_PX, _PATCH_PX)
    yield f"{root}.patch_embedding.bias", (_WIDTH,)
    for i in range(_N_LAYERS):
        block = f"vision_model.encoder.layers.{i}"
        yield from _norm(f"{block}.norm1", row)
        yield from _norm(f"{block}.norm2", row)
        yield from _linear(f"{block}.attn.qkv", 3 * _WIDTH, _WIDTH, row.qkv_bias)
        if row.qk_norm:
            yield f"{block}.attn.q_norm.weight", (_WIDTH,)
            yield f"{block}.attn.k_norm.weight", (_WIDTH,)
        yield from _linear(f"{block}.attn.proj", _WIDTH, _WIDTH)
        yield from _linear(f"{block}.mlp.fc1", _MLP, _WIDTH)
        yield from _linear(f"{block}.mlp.fc2", _WIDTH, _MLP)
        yield f"{block}.ls1", (_WIDTH,)
        yield f"{block}.ls2", (_WIDTH,)
    yield "mlp1.0.weight", (4 * _WIDTH,)
    yield "mlp1.0.bias", (4 * _WIDTH,)
    yield from _linear("mlp1.1", _WIDTH, 4 * _WIDTH)
    yield from _linear("mlp1.3", _WIDTH, _WIDTH)
    if row.extra.get("flash_mode"):
        yield from _router()


def _router() -> Shapes:
    """What InternVL3.5-Flash has besides."""
    yield from _layer_norm("mlp2.0", 16 * _WIDTH)
    yield from _linear("mlp2.1", 2 * _WIDTH, 16 * _WIDTH)
    yield from _linear("mlp2.4", 2 * _WIDTH, 2 * _WIDTH)
    yield from _linear("mlp2.7", _WIDTH, 2 * _WIDTH)
    yield "pooling_before_gating.query_token", (1, _WIDTH)
    for i in range(1, 5):
        attention = f"pooling_before_gating.attn{i}"
        yield f"{attention}.in_proj_weight", (3 * _WIDTH, _WIDTH)
        yield f"{attention}.in_proj_bias", (3 * _WIDTH,)
        yield from _linear(f"{attention}.out_proj", _WIDTH, _WIDTH)
        yield from _layer_norm(f"pooling_before_gating.norm{i}", _WIDTH)
        yield from _linear(f"gating.block{i}.0", 4 * _WIDTH, _WIDTH)
        yield from _linear(f"gating.block{i}.3", _WIDTH, 4 * _WIDTH)
        yield from _layer_norm(f"gating.block{i}.5", _WIDTH)
    yield from _layer_norm("gating.gate.0", _WIDTH)
    yield from _linear("gating.gate.1", 2, _WIDTH)


def _layer_norm(name: str, width: int) -> Shapes:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _hf_vision(row: Row) -> Shapes:
    root = "vision_tower.embeddings"
    yield f"{root}.cls_token", (1, 1, _WIDTH)
    yield f"{root}.position_embeddings", (1, _N_POSITIONS, _WIDTH)
    yield f"{root}.patch_embeddings.projection.weight", (_WIDTH, 3, _PATCH_PX, _PATCH_PX)
    yield f"{root}.patch_embeddings.projection.bias", (_WIDTH,)
    for i in range(_N_LAYERS):
        block = f"vision_tower.encoder.layer.{i}"
        yield from _norm(f"{block}.layernorm_before", row)
        yield from _norm(f"{block}.layernorm_after", row)
        for part in ("q_proj", "k_proj", "v_proj"):
            yield from _linear(f"{block}.attention.{part}", _WIDTH, _WIDTH, row.qkv_bias)
        if row.qk_norm:
            yield f"{block}.attention.q_norm.weight", (_WIDTH,)
            yield f"{block}.attention.k_norm.weight", (_WIDTH,)
        yield from _linear(f"{block}.attention.projection_layer", _WIDTH, _WIDTH)
        yield from _linear(f"{block}.mlp.fc1", _MLP, _WIDTH)
        yield from _linear(f"{block}.mlp.fc2", _WIDTH, _MLP)
        yield f"{block}.lambda_1", (_WIDTH,)
        yield f"{block}.lambda_2", (_WIDTH,)
    yield "multi_modal_projector.layer_norm.weight", (4 * _WIDTH,)
    yield "multi_modal_projector.layer_norm.bias", (4 * _WIDTH,)
    yield from _linear("multi_modal_projector.linear_1", _WIDTH, 4 * _WIDTH)
    yield from _linear("multi_modal_projector.linear_2", _WIDTH, _WIDTH)


def _decoder(row: Row) -> Shapes:
    root = "language_model.model"
    d_q, d_kv = _N_HEADS * row.d_head, row.n_kv_heads * row.d_head
    yield f"{root}.embed_tokens.weight", (_VOCAB, _WIDTH)
    for i in range(row.n_layers):
        block = f"{root}.layers.{i}"
        yield f"{block}.input_layernorm.weight", (_WIDTH,)
        if row.family == "phi3":
            yield from _linear(f"{block}.self_attn.qkv_proj", d_q + 2 * d_kv, _WIDTH, bias=False)
        else:
            for part, d_out in (("q_proj", d_q), ("k_proj", d_kv), ("v_proj", d_kv)):
                yield from _linear(f"{block}.self_attn.{part}", d_out, _WIDTH, row.text_qkv_bias)
        if row.family == "gpt_oss":
            yield f"{block}.self_attn.sinks", (_N_HEADS,)
        if row.family in ("qwen3", "qwen3_moe"):
            yield f"{block}.self_attn.q_norm.weight", (row.d_head,)
            yield f"{block}.self_attn.k_norm.weight", (row.d_head,)
        yield from _linear(f"{block}.self_attn.o_proj", _WIDTH, d_q, row.text_out_bias)
        yield f"{block}.post_attention_layernorm.weight", (_WIDTH,)
        yield from _mlp(row, f"{block}.mlp")
    yield f"{root}.norm.weight", (_WIDTH,)
    if not row.tied_head:
        yield "language_model.lm_head.weight", (_VOCAB, _WIDTH)


def _mlp(row: Row, name: str) -> Shapes:
    if row.family == "gpt_oss":
        n, inner = row.text["num_local_experts"], row.text["intermediate_size"]
        yield from _linear(f"{name}.router", n, _WIDTH)
        yield f"{name}.experts.gate_up_proj", (n, _WIDTH, 2 * inner)
        yield f"{name}.experts.gate_up_proj_bias", (n, 2 * inner)
        yield f"{name}.experts.down_proj", (n, inner, _WIDTH)
        yield f"{name}.experts.down_proj_bias", (n, _WIDTH)
    elif row.family == "qwen3_moe":
        n, inner = row.text["num_experts"], row.text["moe_intermediate_size"]
        yield from _linear(f"{name}.gate", n, _WIDTH, bias=False)
        for e in range(n):
            yield from _swiglu(row, f"{name}.experts.{e}", inner)
    elif row.family == "phi3":
        yield from _linear(f"{name}.gate_up_proj", 2 * _MLP, _WIDTH, bias=False)
        yield from _linear(f"{name}.down_proj", _WIDTH, _MLP, bias=False)
    else:
        yield from _swiglu(row, name, _MLP)


def _swiglu(row: Row, name: str, inner: int) -> Shapes:
    yield from _linear(f"{name}.gate_proj", inner, _WIDTH, row.text_mlp_bias)
    yield from _linear(f"{name}.up_proj", inner, _WIDTH, row.text_mlp_bias)
    yield from _linear(f"{name}.down_proj", _WIDTH, inner, row.text_mlp_bias)


def _internlm2(row: Row) -> Shapes:
    root = "language_model.model"
    n_rows = (_N_HEADS + 2 * row.n_kv_heads) * row.d_head
    yield f"{root}.tok_embeddings.weight", (_VOCAB, _WIDTH)
    for i in range(row.n_layers):
        block = f"{root}.layers.{i}"
        yield f"{block}.attention_norm.weight", (_WIDTH,)
        yield from _linear(f"{block}.attention.wqkv", n_rows, _WIDTH, row.text_qkv_bias)
        yield from _linear(
            f"{block}.attention.wo", _WIDTH, _N_HEADS * row.d_head, row.text_out_bias
        )
        yield f"{block}.ffn_norm.weight", (_WIDTH,)
        yield f"{block}.feed_forward.w1.weight", (_MLP, _WIDTH)
        yield f"{block}.feed_forward.w2.weight", (_WIDTH, _MLP)
        yield f"{block}.feed_forward.w3.weight", (_MLP, _WIDTH)
    yield f"{root}.norm.weight", (_WIDTH,)
    yield "language_model.output.weight", (_VOCAB, _WIDTH)
