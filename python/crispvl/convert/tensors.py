"""The tensor table: every tensor of the file, its shape, and where the checkpoint keeps it.

Written once for both checkpoint layouts and all text families. Names on the left are llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from crispvl.convert import rows
from crispvl.convert.config import CheckpointConfig, DecoderConfig, ProjectorConfig, VisionConfig
from crispvl.convert.rows import Rows


@dataclass(frozen=True, kw_only=True)
class TensorPlan:
    """One tensor to write.

    Attributes:
        name: Name in the file.
        shape: Shape in the file, numpy order.
        source: Name in the checkpoint.
        source_shape: Shape there; leading ones and the number of rows may differ from ``shape``.
        rows: Rows of the source to take, in order; None for all.
        precise: Stays in float32 whatever the file's type.
        packed: The checkpoint holds it in 4-bit blocks.
    """

    name: str
    shape: tuple[int, ...]
    source: str
    source_shape: tuple[int, ...]
    rows: Rows | None = None
    precise: bool = False
    packed: bool = False


def tensor_plans(
    config: CheckpointConfig, *, tied_head: bool
) -> tuple[list[TensorPlan], list[TensorPlan]]:
    """The tensors of the encoder with the projector, and those of the text model."""
    names = _CHAT if config.layout == "chat" else _HF
    vision = [*_embeddings(names, config.vision), *_encoder(names, config.vision)]
    vision += _projector(names, config.projector, config.vision.width, config.decoder.width)
    return vision, list(_decoder(config.decoder, tied_head))


_CHAT = {
    "class": "vision_model.embeddings.class_embedding",
    "position": "vision_model.embeddings.position_embedding",
    "patch": "vision_model.embeddings.patch_embedding",
    "block": "vision_model.encoder.layers",
    "ln1": "norm1",
    "ln2": "norm2",
    "ls1": "ls1",
    "ls2": "ls2",
    "attn_qkv": "attn.qkv",
    "attn_q_norm": "attn.q_norm",
    "attn_k_norm": "attn.k_norm",
    "attn_out": "attn.proj",
    "mlp.0": "mlp1.0",
    "mlp.1": "mlp1.1",
    "mlp.3": "mlp1.3",
}

_HF = {
    "class": "vision_tower.embeddings.cls_token",
    "position": "vision_tower.embeddings.position_embeddings",
    "patch": "vision_tower.embeddings.patch_embeddings.projection",
    "block": "vision_tower.encoder.layer",
    "ln1": "layernorm_before",
    "ln2": "layernorm_after",
    "ls1": "lambda_1",
    "ls2": "lambda_2",
    "attn_q": "attention.q_proj",
    "attn_k": "attention.k_proj",
    "attn_v": "attention.v_proj",
    "attn_q_norm": "attention.q_norm",
    "attn_k_norm": "attention.k_norm",
    "attn_out": "attention.projection_layer",
    "mlp.0": "multi_modal_projector.layer_norm",
    "mlp.1": "multi_modal_projector.linear_1",
    "mlp.3": "multi_modal_projector.linear_2",
}


def _embeddings(names: dict[str, str], v: VisionConfig) -> Iterator[TensorPlan]:
    n_positions = 1 + (v.tile_px // v.patch_px) ** 2
    yield TensorPlan(
        name="v.class_embd",
        shape=(v.width,),
        source=names["class"],
        source_shape=(1, 1, v.width),
        precise=True,
    )
    yield TensorPlan(
        name="v.position_embd.weight",
        shape=(n_positions, v.width),
        source=names["position"],
        source_shape=(1, n_positions, v.width),
        precise=True,
    )
    yield _plain(
        "v.patch_embd.weight", names["patch"] + ".weight", (v.width, 3, v.patch_px, v.patch_px)
    )
    yield _plain("v.patch_embd.bias", names["patch"] + ".bias", (v.width,))


def _encoder(names: dict[str, str], v: VisionConfig) -> Iterator[TensorPlan]:
    w = v.width
    for i in range(v.n_layers):
        out, block = f"v.blk.{i}", f"{names['block']}.{i}"
        for norm in ("ln1", "ln2"):
            yield from _norm(f"{out}.{norm}", f"{block}.{names[norm]}", w, v.norm == "layer_norm")
        for index, name in enumerate(("attn_q", "attn_k", "attn_v")):
            if "attn_qkv" in names:
                source, n_rows, taken = names["attn_qkv"], 3 * w, rows.third(index, w)
            else:
                source, n_rows, taken = names[name], w, None
            source = f"{block}.{source}"
            yield from _linear(
                f"{out}.{name}", source, w, w, bias=v.qkv_bias, n_source_rows=n_rows, taken=taken
            )
        if v.qk_norm == "full":
            for norm in ("attn_q_norm", "attn_k_norm"):
                yield from _norm(f"{out}.{norm}", f"{block}.{names[norm]}", w, bias=False)
        yield from _linear(f"{out}.attn_out", f"{block}.{names['attn_out']}", w, w, bias=True)
        yield from _linear(f"{out}.ffn_up", f"{block}.mlp.fc1", v.d_mlp, w, bias=True)
        yield from _linear(f"{out}.ffn_down", f"{block}.mlp.fc2", w, v.d_mlp, bias=True)
        for scale in ("ls1", "ls2"):
            yield _plain(f"{out}.{scale}.weight", f"{block}.{names[scale]}", (w,))


def _projector(
    names: dict[str, str], p: ProjectorConfig, width: int, d_out: int
) -> Iterator[TensorPlan]:
    d_in = width * p.scale_factor**2
    yield from _norm("mm.model.mlp.0", names["mlp.0"], d_in, bias=True)
    yield from _linear("mm.model.mlp.1", names["mlp.1"], d_out, d_in, bias=True)
    yield from _linear("mm.model.mlp.3", names["mlp.3"], d_out, d_out, bias=True)


def _decoder(d: DecoderConfig, tied_head: bool) -> Iterator[TensorPlan]:
    names = {k: "language_model." + v for k, v in d.family.names.items()}
    yield from _linear("token_embd", names["token_embd"], d.vocab_size, d.width)
    for i in range(d.n_layers):
        out, block = f"blk.{i}", {k: v.format(i=i) for k, v in names.items()}
        yield from _norm(f"{out}.attn_norm", block["blk.{i}.attn_norm"], d.width, bias=False)
        yield from _qkv(d, out, block)
        if d.family.qk_norm == "per_head":
            for norm in ("attn_q_norm", "attn_k_norm"):
                yield from _norm(f"{out}.{norm}", block["blk.{i}." + norm], d.d_head, bias=False)
        for name, n_rows, n_columns, bias in (
            ("attn_output", d.width, d.n_heads * d.d_head, d.attn_out_bias),
            ("ffn_gate", d.d_mlp, d.width, d.mlp_bias),
            ("ffn_up", d.d_mlp, d.width, d.mlp_bias),
            ("ffn_down", d.width, d.d_mlp, d.mlp_bias),
        ):
            source = block["blk.{i}." + name]
            yield from _linear(f"{out}.{name}", source, n_rows, n_columns, bias=bias)
        yield from _norm(f"{out}.ffn_norm", block["blk.{i}.ffn_norm"], d.width, bias=False)
    yield from _norm("output_norm", names["output_norm"], d.width, bias=False)
    if not tied_head:
        yield from _linear("output", names["output"], d.vocab_size, d.width)


def _qkv(d: DecoderConfig, out: str, block: dict[str, str]) -> Iterator[TensorPlan]:
    for part, n_heads in (("q", d.n_heads), ("k", d.n_kv_heads), ("v", d.n_kv_heads)):
        n_rows = n_heads * d.d_head
        taken, n_source_rows = None, n_rows
        if d.family.fused_qkv:
            taken = rows.grouped(part, d.n_heads, d.n_kv_heads, d.d_head)
            n_source_rows = (d.n_heads + 2 * d.n_kv_heads) * d.d_head
        if d.family.rope_layout == "interleaved" and part != "v":
            order = rows.interleaved(n_heads, d.d_head)
            taken = order if taken is None else taken[order]
        yield from _linear(
            f"{out}.attn_{part}",
            block["blk.{i}.attn_" + part],
            n_rows,
            d.width,
            bias=d.qkv_bias,
            n_source_rows=n_source_rows,
            taken=taken,
        )


def _plain(name: str, source: str, shape: tuple[int, ...]) -> TensorPlan:
    return TensorPlan(
        name=name, shape=shape, source=source, source_shape=shape, precise=len(shape) == 1
    )


def _norm(name: str, source: str, width: int, bias: bool) -> Iterator[TensorPlan]:
    for part in ("weight", "bias") if bias else ("weight",):
        yield _plain(f"{name}.{part}", f"{source}.{part}", (width,))


def _linear(
    name: str,
    source: str,
    n_rows: int,
    n_columns: int,
    *,
    bias: bool = False,
    n_source_rows: int | None = None,
    taken: Rows | None = None,
) -> Iterator[TensorPlan]:
    n_source_rows = n_source_rows or n_rows
    yield TensorPlan(
        name=f"{name}.weight",
        shape=(n_rows, n_columns),
        source=f"{source}.weight",
        source_shape=(n_source_rows, n_columns),
        rows=taken,
    )
    if bias:
        yield TensorPlan(
            name=f"{name}.bias",
            shape=(n_rows,),
            source=f"{source}.bias",
            source_shape=(n_source_rows,),
            rows=taken,
            precise=True,
        )
