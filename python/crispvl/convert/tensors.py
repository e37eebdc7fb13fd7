"""The tensor table: every tensor of the file, its shape, and where the checkpoint keeps it.

Written once for both checkpoint layouts and all text families. Names on the left are llama.cpp's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

from crispvl.convert import rows
from crispvl.convert.config import (
    CheckpointConfig,
    DecoderConfig,
    ExpertsConfig,
    ProjectorConfig,
    VisionConfig,
)
from crispvl.convert.rows import Rows


@dataclass(frozen=True, kw_only=True)
class TensorPlan:
    """One tensor to write.

    Attributes:
        name: Name in the file.
        shape: Shape in the file, numpy order.
        sources: Names in the checkpoint; of several, one for each expert, each is a matrix.
        source_shape: Shape there; leading ones and the number of rows may differ from ``shape``.
        rows: Rows of each matrix or vector to take, in order; None for all.
        stacked: The source holds one matrix or vector for each expert.
        transposed: Its matrices are columns by rows.
        values: What is written instead, where the config and no tensor holds it.
        precise: Stays in float32 whatever the file's type.
        packed: The type of a file that keeps the blocks in which the checkpoint holds it; empty
            where it holds numbers.
    """

    name: str
    shape: tuple[int, ...]
    sources: tuple[str, ...] = ()
    source_shape: tuple[int, ...] = ()
    rows: Rows | None = None
    stacked: bool = False
    transposed: bool = False
    values: tuple[float, ...] = ()
    precise: bool = False
    packed: str = ""


def tensor_plans(
    config: CheckpointConfig, *, tied_head: bool, stored: Collection[str] = ()
) -> tuple[list[TensorPlan], list[TensorPlan]]:
    """The tensors of the encoder with the projector, and those of the text model.

    ``stored``, the checkpoint's own names, tell how the encoder's are spelled: some checkpoints
    have the -hf config and OpenGVLab's tensors. Without them the layout tells.
    """
    is_chat = config.layout == "chat" if not stored else _CHAT["class"] in stored
    names = _CHAT if is_chat else _HF
    vision = [*_embeddings(names, config.vision), *_encoder(names, config.vision)]
    vision += _projector(names, config.projector, config.vision.width, config.decoder.width)
    if config.router is not None:
        vision += _router(config.projector, config.vision.width, config.decoder.width)
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
        sources=(names["class"],),
        source_shape=(1, 1, v.width),
        precise=True,
    )
    yield TensorPlan(
        name="v.position_embd.weight",
        shape=(n_positions, v.width),
        sources=(names["position"],),
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


def _router(p: ProjectorConfig, width: int, d_out: int) -> Iterator[TensorPlan]:
    """InternVL3.5-Flash's second projector, and the router that chooses between the two.

    Of its four attentions the published class asks the first one once and the second one three
    times; the others' weights are in the checkpoint and are left out.
    """
    d_in = width * p.scale_factor**4
    yield from _norm("mm.small.mlp.0", "mlp2.0", d_in, bias=True)
    shapes = {1: (2 * d_out, d_in), 4: (2 * d_out, 2 * d_out), 7: (d_out, 2 * d_out)}
    for i, shape in shapes.items():
        yield from _linear(f"mm.small.mlp.{i}", f"mlp2.{i}", *shape, bias=True)
    yield TensorPlan(
        name="mm.router.query.weight",
        shape=(width,),
        sources=("pooling_before_gating.query_token",),
        source_shape=(1, width),
        precise=True,
    )
    for i in range(2):
        yield from _cross_attention(
            f"mm.router.pool.{i}", f"pooling_before_gating.attn{i + 1}", width
        )
        norm = f"pooling_before_gating.norm{i + 1}"
        yield from _norm(f"mm.router.pool_norm.{i}", norm, width, bias=True)
    for i in range(4):
        out, block = f"mm.router.mlp.{i}", f"gating.block{i + 1}"
        yield from _linear(f"{out}.up", f"{block}.0", 4 * width, width, bias=True)
        yield from _linear(f"{out}.down", f"{block}.3", width, 4 * width, bias=True)
        yield from _norm(f"{out}.norm", f"{block}.5", width, bias=True)
    yield from _norm("mm.router.norm", "gating.gate.0", width, bias=True)
    yield from _linear("mm.router.out", "gating.gate.1", 2, width, bias=True)


def _cross_attention(out: str, source: str, width: int) -> Iterator[TensorPlan]:
    """PyTorch's MultiheadAttention, which stacks q, k and v."""
    for index, name in enumerate(("attn_q", "attn_k", "attn_v")):
        taken = rows.third(index, width)
        for part, columns in (("weight", (width,)), ("bias", ())):
            yield TensorPlan(
                name=f"{out}.{name}.{part}",
                shape=(width, *columns),
                sources=(f"{source}.in_proj_{part}",),
                source_shape=(3 * width, *columns),
                rows=taken,
                precise=part == "bias",
            )
    yield from _linear(f"{out}.attn_out", f"{source}.out_proj", width, width, bias=True)


def is_unused(name: str, config: CheckpointConfig) -> bool:
    """Whether a stored tensor is never computed with.

    Those are what the router's class holds in vain (see `_router`), and the layers of the encoder
    after the one whose output the projector takes.
    """
    if name.startswith(_UNUSED):
        return True
    for names in (_CHAT, _HF):
        i_layer = name.removeprefix(names["block"] + ".").partition(".")[0]
        if name.startswith(names["block"] + ".") and i_layer.isdecimal():
            return int(i_layer) >= config.vision.n_layers
    return False


_UNUSED = tuple(f"pooling_before_gating.{part}{i}." for part in ("attn", "norm") for i in (3, 4))


def _decoder(d: DecoderConfig, tied_head: bool) -> Iterator[TensorPlan]:
    names = {k: "language_model." + v for k, v in d.family.names.items()}
    yield from _linear("token_embd", names["token_embd"], d.vocab_size, d.width)
    for i in range(d.n_layers):
        out, block = f"blk.{i}", {k: v.replace("{i}", str(i)) for k, v in names.items()}
        yield from _norm(f"{out}.attn_norm", block["blk.{i}.attn_norm"], d.width, bias=False)
        yield from _qkv(d, out, block)
        if d.family.qk_norm == "per_head":
            for norm in ("attn_q_norm", "attn_k_norm"):
                yield from _norm(f"{out}.{norm}", block["blk.{i}." + norm], d.d_head, bias=False)
        source = block["blk.{i}.attn_output"]
        d_out = d.n_heads * d.d_head
        yield from _linear(f"{out}.attn_output", source, d.width, d_out, bias=d.attn_out_bias)
        if d.family.sinks:
            yield TensorPlan(
                name=f"{out}.attn_sinks.weight",
                shape=(d.n_heads,),
                sources=(block["blk.{i}.attn_sinks"],),
                source_shape=(d.n_heads,),
                precise=True,
            )
        norm = block["blk.{i}.ffn_norm"]
        yield from _norm(f"{out}.{d.family.mlp_norm}", norm, d.width, bias=False)
        yield from _experts(d, d.experts, out, block) if d.experts else _mlp(d, out, block)
    yield from _rope(d)
    yield from _norm("output_norm", names["output_norm"], d.width, bias=False)
    if not tied_head:
        yield from _linear("output", names["output"], d.vocab_size, d.width)


def _mlp(d: DecoderConfig, out: str, block: dict[str, str]) -> Iterator[TensorPlan]:
    shapes = {"ffn_gate": (d.d_mlp, d.width), "ffn_up": (d.d_mlp, d.width)}
    if d.family.joined_rows:
        shapes = {"ffn_up": (2 * d.d_mlp, d.width)}
    for name, shape in {**shapes, "ffn_down": (d.width, d.d_mlp)}.items():
        yield from _linear(f"{out}.{name}", block["blk.{i}." + name], *shape, bias=d.mlp_bias)


def _experts(
    d: DecoderConfig, experts: ExpertsConfig, out: str, block: dict[str, str]
) -> Iterator[TensorPlan]:
    router = block["blk.{i}.ffn_gate_inp"]
    for plan in _linear(
        f"{out}.ffn_gate_inp", router, experts.n, d.width, bias=experts.family.router_bias
    ):
        yield replace(plan, precise=True)  # its logits decide which expert computes at all
    matrices = _stacked_experts if experts.family.stacked else _listed_experts
    inner, width = experts.d_mlp, d.width
    for name, n_rows, n_columns in (
        ("ffn_gate_exps", inner, width),
        ("ffn_up_exps", inner, width),
        ("ffn_down_exps", width, inner),
    ):
        source = block["blk.{i}." + name]
        yield from matrices(experts.n, f"{out}.{name}", source, n_rows, n_columns)


def _listed_experts(
    n: int, name: str, source: str, n_rows: int, n_columns: int
) -> Iterator[TensorPlan]:
    """Each expert has a module of its own."""
    yield TensorPlan(
        name=f"{name}.weight",
        shape=(n, n_rows, n_columns),
        sources=tuple(f"{source.replace('{e}', str(e))}.weight" for e in range(n)),
        source_shape=(n_rows, n_columns),
    )


def _stacked_experts(
    n: int, name: str, source: str, n_rows: int, n_columns: int
) -> Iterator[TensorPlan]:
    """All experts in one tensor, transposed; gate and up rows by turns."""
    kinds = {"ffn_gate_exps": 0, "ffn_up_exps": 1}
    i_first = kinds.get(name.rsplit(".", 1)[-1])
    taken = None if i_first is None else rows.every_other(i_first, n_rows)
    n_stored = n_rows if taken is None else 2 * n_rows
    plan = TensorPlan(
        name=f"{name}.weight",
        shape=(n, n_rows, n_columns),
        sources=(source,),
        source_shape=(n, n_columns, n_stored),
        rows=taken,
        stacked=True,
        transposed=True,
    )
    yield plan
    yield replace(
        plan,
        name=f"{name}.bias",
        shape=(n, n_rows),
        sources=(f"{source}_bias",),
        source_shape=(n, n_stored),
        transposed=False,
        precise=True,
    )


def _rope(d: DecoderConfig) -> Iterator[TensorPlan]:
    """Divisors of the rotary frequencies, under llama.cpp's names."""
    scaling = d.rope_scaling
    is_long = scaling.type == "longrope"
    short = "rope_factors_short" if is_long else "rope_freqs"
    for name, values in ((short, scaling.divisors), ("rope_factors_long", scaling.long_divisors)):
        if values:
            yield TensorPlan(
                name=f"{name}.weight", shape=(len(values),), values=values, precise=True
            )


def _qkv(d: DecoderConfig, out: str, block: dict[str, str]) -> Iterator[TensorPlan]:
    if d.family.joined_rows:
        n_rows, source = (d.n_heads + 2 * d.n_kv_heads) * d.d_head, block["blk.{i}.attn_qkv"]
        yield from _linear(f"{out}.attn_qkv", source, n_rows, d.width, bias=d.qkv_bias)
        return
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
        name=name, shape=shape, sources=(source,), source_shape=shape, precise=len(shape) == 1
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
        sources=(f"{source}.weight",),
        source_shape=(n_source_rows, n_columns),
        rows=taken,
    )
    if bias:
        yield TensorPlan(
            name=f"{name}.bias",
            shape=(n_rows,),
            sources=(f"{source}.bias",),
            source_shape=(n_source_rows,),
            rows=taken,
            precise=True,
        )
