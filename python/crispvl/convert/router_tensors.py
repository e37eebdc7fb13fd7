"""The tensors of InternVL3.5-Flash's router and of its second projector."""

from __future__ import annotations

from collections.abc import Iterator

from crispvl.convert import rows
from crispvl.convert.config import ProjectorConfig
from crispvl.convert.tensor_plan import TensorPlan, linear_plans, norm_plans

UNUSED = tuple(f"pooling_before_gating.{part}{i}." for part in ("attn", "norm") for i in (3, 4))
"""Beginnings of the names of what its class holds in vain; see `router_tensors`."""


def router_tensors(p: ProjectorConfig, width: int, d_out: int) -> Iterator[TensorPlan]:
    """InternVL3.5-Flash's second projector, and the router that chooses between the two.

    Of its four attentions the published class asks the first one once and the second one three
    times; the others' weights are in the checkpoint and are left out.
    """
    d_in = width * p.scale_factor**4
    yield from norm_plans("mm.small.mlp.0", "mlp2.0", d_in, bias=True)
    shapes = {1: (2 * d_out, d_in), 4: (2 * d_out, 2 * d_out), 7: (d_out, 2 * d_out)}
    for i, shape in shapes.items():
        yield from linear_plans(f"mm.small.mlp.{i}", f"mlp2.{i}", *shape, bias=True)
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
        yield from norm_plans(f"mm.router.pool_norm.{i}", norm, width, bias=True)
    for i in range(4):
        out, block = f"mm.router.mlp.{i}", f"gating.block{i + 1}"
        yield from linear_plans(f"{out}.up", f"{block}.0", 4 * width, width, bias=True)
        yield from linear_plans(f"{out}.down", f"{block}.3", width, 4 * width, bias=True)
        yield from norm_plans(f"{out}.norm", f"{block}.5", width, bias=True)
    yield from norm_plans("mm.router.norm", "gating.gate.0", width, bias=True)
    yield from linear_plans("mm.router.out", "gating.gate.1", 2, width, bias=True)


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
    yield from linear_plans(f"{out}.attn_out", f"{source}.out_proj", width, width, bias=True)
