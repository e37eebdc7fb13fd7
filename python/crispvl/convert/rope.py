"""RoPE parameters of a text model's config, in the old and the new spelling of transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from crispvl.convert.section import Section


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How rotary frequencies are stretched; fields that a type does not use are zero.

    Attributes:
        type: ``none``, ``linear``, ``dynamic`` (NTK) or ``yarn``.
        factor: Stretch of the context.
        original_context_length: Positions the model was trained on, in tokens.
        beta_fast, beta_slow: YaRN's rotations at which interpolation begins and is complete.
        attn_factor: Multiplies cosine and sine (YaRN), the logarithmic term included.
    """

    type: str = "none"
    factor: float = 0.0
    original_context_length: int = 0
    beta_fast: float = 0.0
    beta_slow: float = 0.0
    attn_factor: float = 0.0


def read_rope(s: Section) -> tuple[float, RopeScaling]:
    """Theta and scaling.

    Old configs have ``rope_theta`` and ``rope_scaling`` (with ``type`` or ``rope_type``), new ones
    ``rope_parameters`` with everything.
    """
    key = "rope_parameters" if s.has("rope_parameters") else "rope_scaling"
    rope = s.child(key) if s.has(key) else Section({}, s.where)
    theta = rope.number("rope_theta") if rope.has("rope_theta") else s.number("rope_theta")
    if rope.has("partial_rotary_factor"):
        rope.expect("partial_rotary_factor", 1.0, 1)
    kind = rope.raw("rope_type") or rope.raw("type") or "default"
    if kind == "default":
        return theta, RopeScaling()
    if kind not in ("linear", "dynamic", "yarn"):
        raise rope.error("rope_type", "'default', 'linear', 'dynamic' or 'yarn'", kind)
    if kind == "linear":
        return theta, RopeScaling(type=kind, factor=rope.number("factor"))
    context = s.count("max_position_embeddings")
    if kind == "dynamic":
        return theta, RopeScaling(
            type=kind, factor=rope.number("factor"), original_context_length=context
        )
    original = _original_context_length(s, rope)
    factor = rope.number("factor") if rope.has("factor") else context / original
    if rope.has("truncate"):
        rope.expect("truncate", True)
    return theta, RopeScaling(
        type=kind,
        factor=factor,
        original_context_length=original,
        beta_fast=rope.number("beta_fast") if rope.has("beta_fast") else 32.0,
        beta_slow=rope.number("beta_slow") if rope.has("beta_slow") else 1.0,
        attn_factor=_yarn_attn_factor(rope, factor),
    )


def usable_context_length(trained: int, scaling: RopeScaling) -> int:
    """Positions a model can be used with, in tokens.

    Scaling stretches the trained length by its factor; YaRN configs may name the stretched length
    themselves.
    """
    if scaling.type == "yarn":
        return max(trained, int(scaling.original_context_length * scaling.factor))
    return int(trained * scaling.factor) if scaling.type != "none" else trained


def _original_context_length(s: Section, rope: Section) -> int:
    key = "original_max_position_embeddings"
    for section in (rope, s):
        if section.has(key):
            return section.count(key)
    return s.count("max_position_embeddings")


def _yarn_attn_factor(rope: Section, factor: float) -> float:
    """The scale of cosine and sine, as transformers computes it for YaRN."""
    if rope.has("attention_factor"):
        return rope.number("attention_factor")

    def mscale(weight: float) -> float:
        return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0

    if rope.raw("mscale") and rope.raw("mscale_all_dim"):
        return mscale(rope.number("mscale")) / mscale(rope.number("mscale_all_dim"))
    return mscale(1.0)
