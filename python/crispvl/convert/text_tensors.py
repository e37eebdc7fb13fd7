"""The tensors of the text model, for every family."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from crispvl.convert import rows
from crispvl.convert.config import DecoderConfig, ExpertsConfig
from crispvl.convert.tensor_plan import TensorPlan, linear_plans, norm_plans


def text_tensors(d: DecoderConfig, tied_head: bool) -> Iterator[TensorPlan]:
    """The text model's, from the embedding to the head."""
    names = {k: "language_model." + v for k, v in d.family.names.items()}
    yield from linear_plans("token_embd", names["token_embd"], d.vocab_size, d.width)
    for i in range(d.n_layers):
        out, block = f"blk.{i}", {k: v.replace("{i}", str(i)) for k, v in names.items()}
        yield from norm_plans(f"{out}.attn_norm", block["blk.{i}.attn_norm"], d.width, bias=False)
        yield from _qkv(d, out, block)
        if d.family.qk_norm == "per_head":
            for norm in ("attn_q_norm", "attn_k_norm"):
                yield from norm_plans(
                    f"{out}.{norm}", block["blk.{i}." + norm], d.d_head, bias=False
                )
        source = block["blk.{i}.attn_output"]
        d_out = d.n_heads * d.d_head
        yield from linear_plans(f"{out}.attn_output", source, d.width, d_out, bias=d.attn_out_bias)
        if d.family.sinks:
            yield TensorPlan(
                name=f"{out}.attn_sinks.weight",
                shape=(d.n_heads,),
                sources=(block["blk.{i}.attn_sinks"],),
                source_shape=(d.n_heads,),
                precise=True,
            )
        norm = block["blk.{i}.ffn_norm"]
        yield from norm_plans(f"{out}.{d.family.mlp_norm}", norm, d.width, bias=False)
        yield from _experts(d, d.experts, out, block) if d.experts else _mlp(d, out, block)
    yield from _rope(d)
    yield from norm_plans("output_norm", names["output_norm"], d.width, bias=False)
    if not tied_head:
        yield from linear_plans("output", names["output"], d.vocab_size, d.width)


def _mlp(d: DecoderConfig, out: str, block: dict[str, str]) -> Iterator[TensorPlan]:
    shapes = {"ffn_gate": (d.d_mlp, d.width), "ffn_up": (d.d_mlp, d.width)}
    if d.family.joined_rows:
        shapes = {"ffn_up": (2 * d.d_mlp, d.width)}
    for name, shape in {**shapes, "ffn_down": (d.width, d.d_mlp)}.items():
        yield from linear_plans(f"{out}.{name}", block["blk.{i}." + name], *shape, bias=d.mlp_bias)


def _experts(
    d: DecoderConfig, experts: ExpertsConfig, out: str, block: dict[str, str]
) -> Iterator[TensorPlan]:
    router = block["blk.{i}.ffn_gate_inp"]
    for plan in linear_plans(
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
        yield from linear_plans(f"{out}.attn_qkv", source, n_rows, d.width, bias=d.qkv_bias)
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
        yield from linear_plans(
            f"{out}.attn_{part}",
            block["blk.{i}.attn_" + part],
            n_rows,
            d.width,
            bias=d.qkv_bias,
            n_source_rows=n_source_rows,
            taken=taken,
        )
