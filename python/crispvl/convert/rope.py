"""RoPE parameters of a text model's config, in the old and the new spelling of transformers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crispvl.convert.section import Section, is_number

# Phi-3's first configs call longrope "su".
_KINDS = ("linear", "dynamic", "yarn", "llama3", "longrope", "su")


@dataclass(frozen=True, kw_only=True)
class RopeScaling:
    """How rotary frequencies are stretched; fields that a type does not use are zero.

    Attributes:
        type: ``none``, ``linear``, ``dynamic`` (NTK), ``yarn``, ``factors`` (each frequency has a
            divisor of its own, Llama 3.1) or ``longrope`` (two such sets, arXiv 2402.13753).
        factor: Stretch of the context.
        original_context_length: Positions the model was trained on, in tokens.
        beta_fast, beta_slow: YaRN's rotations at which interpolation begins and is complete.
        truncate: YaRN's ramp begins and ends at whole dimensions.
        attn_factor: Multiplies cosine and sine (YaRN, longrope), the logarithmic term included.
        divisors: Of each pair's frequency (factors); of sequences up to the trained length
            (longrope).
        long_divisors: Of longer ones (longrope).
    """

    type: str = "none"
    factor: float = 0.0
    original_context_length: int = 0
    beta_fast: float = 0.0
    beta_slow: float = 0.0
    truncate: bool = True
    attn_factor: float = 0.0
    divisors: tuple[float, ...] = ()
    long_divisors: tuple[float, ...] = ()


def read_rope(s: Section, d_head: int, otherwise: Mapping[str, Any]) -> tuple[float, RopeScaling]:
    """Theta and scaling for heads of ``d_head``.

    Old configs have ``rope_theta`` and ``rope_scaling`` (with ``type`` or ``rope_type``), new ones
    ``rope_parameters`` with everything. Where there is neither, ``otherwise`` counts.
    """
    key = "rope_parameters" if s.has("rope_parameters") else "rope_scaling"
    rope = s.child(key) if s.has(key) else Section(otherwise, s.where)
    theta = rope.number("rope_theta") if rope.has("rope_theta") else s.number("rope_theta")
    for section in (rope, s):
        section.expect("partial_rotary_factor", 1.0, 1, None)
    for name, value in rope.raw_values().items():
        if isinstance(value, Mapping):  # by type of layer, each with its own
            raise rope.error(name, "a value for all layers", value)
    kind = rope.raw("rope_type") or rope.raw("type") or "default"
    if kind == "default":
        return theta, RopeScaling()
    if kind not in _KINDS:
        raise rope.error("rope_type", f"'default', {', '.join(map(repr, _KINDS))}", kind)
    if kind == "yarn" and rope.has("short_factor"):  # Phi-3's own, which is neither
        raise rope.error("rope_type", "'longrope' beside 'short_factor'", kind)
    if kind in ("longrope", "su"):
        return theta, _longrope(s, rope, d_head // 2)
    if kind == "llama3":
        return theta, RopeScaling(type="factors", divisors=_llama3_divisors(rope, theta, d_head))
    if kind == "linear":
        return theta, RopeScaling(type=kind, factor=rope.number("factor"))
    context = s.count("max_position_embeddings")
    if kind == "dynamic":
        return theta, RopeScaling(
            type=kind, factor=rope.number("factor"), original_context_length=context
        )
    original = _original_context_length(s, rope)
    factor = rope.number("factor") if rope.has("factor") else context / original
    return theta, RopeScaling(
        type=kind,
        factor=factor,
        original_context_length=original,
        beta_fast=rope.number("beta_fast") if rope.raw("beta_fast") else 32.0,
        beta_slow=rope.number("beta_slow") if rope.raw("beta_slow") else 1.0,
        truncate=rope.boolean("truncate") if rope.has("truncate") else True,
        attn_factor=_yarn_attn_factor(rope, factor),
    )


def usable_context_length(trained: int, scaling: RopeScaling) -> int:
    """Positions a model can be used with, in tokens.

    Scaling stretches the trained length by its factor; YaRN configs may name the stretched length
    themselves.
    """
    if scaling.type == "yarn":
        return max(trained, int(scaling.original_context_length * scaling.factor))
    return int(trained * scaling.factor) if scaling.type in ("linear", "dynamic") else trained


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


def _longrope(s: Section, rope: Section, n_pairs: int) -> RopeScaling:
    """Two sets of divisors, as Phi-3's config gives them.

    The factor on cosine and sine is the paper's where the config has none of its own.
    """
    original = _original_context_length(s, rope)
    stretch = s.count("max_position_embeddings") / original
    factor = rope.number("factor") if rope.has("factor") else stretch
    attn_factor = 1.0
    if rope.has("attention_factor"):
        attn_factor = rope.number("attention_factor")
    elif original < 2:
        raise rope.error("original_max_position_embeddings", "at least 2", original)
    elif factor > 1:
        attn_factor = math.sqrt(1 + math.log(factor) / math.log(original))
    return RopeScaling(
        type="longrope",
        original_context_length=original,
        attn_factor=attn_factor,
        divisors=_divisors(rope, "short_factor", n_pairs),
        long_divisors=_divisors(rope, "long_factor", n_pairs),
    )


def _divisors(rope: Section, key: str, n: int) -> tuple[float, ...]:
    values = rope.raw(key)
    if not isinstance(values, list) or len(values) != n:
        raise rope.error(key, f"{n} numbers, one for each pair of a head", values)
    if not all(is_number(v) and v > 0 for v in values):
        raise rope.error(key, "positive numbers", values)
    return tuple(float(v) for v in values)


def _llama3_divisors(rope: Section, theta: float, d_head: int) -> tuple[float, ...]:
    """What Llama 3.1 divides each frequency by: nothing for short wavelengths, the factor for long
    ones, and between the two a mixture, as in transformers' modeling_rope_utils.
    """
    factor, context = rope.number("factor"), rope.count("original_max_position_embeddings")
    low, high = rope.number("low_freq_factor"), rope.number("high_freq_factor")
    if not 0 < low < high:
        raise rope.error("low_freq_factor", "positive and below 'high_freq_factor'", low)

    def divisor(i_pair: int) -> float:
        rotations: float = context / (2 * math.pi * theta ** (2 * i_pair / d_head))
        kept: float = min(max((rotations - low) / (high - low), 0.0), 1.0)
        return 1 / ((1 - kept) / factor + kept)

    return tuple(divisor(i) for i in range(d_head // 2))
