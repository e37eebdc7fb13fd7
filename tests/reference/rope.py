"""Rotary position embedding with every scaling the models use."""

from __future__ import annotations

import math

import numpy as np

from reference.checkpoint import RopeConfig
from reference.numbers import Array


def rotary_frequencies(rope: RopeConfig, d_head: int, n_tokens: int) -> tuple[Array, float]:
    """Radians per position of each pair, and the factor on cosine and sine.

    Follows ``modeling_rope_utils.py`` of transformers.

    Args:
        rope: Theta and scaling.
        d_head: Width of a head.
        n_tokens: Length of the sequence, which dynamic scaling depends on.
    """
    pairs = np.arange(0, d_head, 2) / d_head
    plain = rope.theta**-pairs
    if rope.scaling == "linear":
        return plain / rope.factor, 1.0
    if rope.scaling == "dynamic":
        n = max(n_tokens, rope.context)
        stretch = rope.factor * n / rope.context - (rope.factor - 1)
        return (rope.theta * stretch ** (d_head / (d_head - 2))) ** -pairs, 1.0
    if rope.scaling == "yarn":
        # Fast pairs keep their frequency, slow ones are interpolated, with a ramp between.
        def pair_of(rotations: float) -> float:
            turns = rope.context / (rotations * 2 * math.pi)
            return d_head * math.log(turns) / (2 * math.log(rope.theta))

        low, high = pair_of(rope.beta_fast), pair_of(rope.beta_slow)
        if rope.truncate:
            low, high = math.floor(low), math.ceil(high)
        low, high = max(low, 0), min(high, d_head - 1)
        ramp = (np.arange(d_head // 2) - low) / (high - low if high != low else 0.001)
        interpolated = np.clip(ramp, 0.0, 1.0)
        frequencies = plain / rope.factor * interpolated + plain * (1.0 - interpolated)
        return frequencies, rope.attention_factor
    if rope.scaling == "llama3":
        # Turns in the trained length: many of them stay, few are slowed down, a mixture between.
        turns = rope.context * plain / (2 * math.pi)
        low, high = rope.low_freq_factor, rope.high_freq_factor
        kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
        return (1 - kept) * plain / rope.factor + kept * plain, 1.0
    if rope.scaling in ("longrope", "su"):
        divisors = rope.long_factor if n_tokens > rope.context else rope.short_factor
        return plain / np.array(divisors), rope.attention_factor
    return plain, 1.0


def rotate(x: Array, positions: Array, frequencies: Array, factor: float) -> Array:
    """Rotates the pairs (i, i + d/2) of each head.

    Args:
        x: ``[n_heads, n_tokens, d_head]``.
        positions: ``[n_tokens]``.
        frequencies: ``[d_head / 2]``.
        factor: Multiplies cosine and sine.
    """
    angles = positions[:, None] * frequencies
    cos, sin = np.cos(angles) * factor, np.sin(angles) * factor
    first, second = np.split(x, 2, axis=-1)
    return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
