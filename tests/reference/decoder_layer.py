"""One block of the text model; all families differ in switches only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reference.attention import attend, split_heads
from reference.checkpoint import DecoderConfig, Weights
from reference.mlp import gated, mixture
from reference.norm import rms_norm
from reference.numbers import Array, linear
from reference.rope import rotary_frequencies, rotate


@dataclass
class KeyValues:
    """What one layer remembers: rotated keys and values ``[n_kv_heads, n_past, d_head]``."""

    k: Array
    v: Array

    @classmethod
    def empty(cls, c: DecoderConfig) -> KeyValues:
        """A cache before the first token."""
        return cls(*(np.empty((c.n_kv_heads, 0, c.d_head)) for _ in range(2)))

    @property
    def n_past(self) -> int:
        """Tokens remembered."""
        return self.k.shape[1]

    def append(self, k: Array, v: Array) -> None:
        """Adds the keys and values of new tokens."""
        self.k = np.concatenate([self.k, k], axis=1)
        self.v = np.concatenate([self.v, v], axis=1)


def decoder_layer(
    x: Array, w: Weights, c: DecoderConfig, cache: KeyValues, window: int = 0
) -> Array:
    """Causal attention with rotary positions, then a gated MLP or a mixture of them.

    Keys stay as they were rotated when their token came, as in transformers; with dynamic scaling
    the frequencies of a step depend on the length that the sequence has after it.

    Args:
        x: ``[n_tokens, width]``, the tokens after those in the cache.
        w: The block's weights.
        c: Switches and sizes.
        cache: The tokens before; the new ones are added.
        window: Newest keys that a query sees; 0 for all.
    """

    def project(y: Array, name: str) -> Array:
        return linear(y, w[f"{name}.weight"], w.get(f"{name}.bias"))

    y = rms_norm(x, w["norm1.weight"], c.epsilon)
    q = split_heads(project(y, "q"), c.n_heads)
    k = split_heads(project(y, "k"), c.n_kv_heads)
    v = split_heads(project(y, "v"), c.n_kv_heads)
    if c.qk_norm:
        q = rms_norm(q, w["q_norm.weight"], c.epsilon)
        k = rms_norm(k, w["k_norm.weight"], c.epsilon)
    n_total = cache.n_past + x.shape[0]
    positions = np.arange(cache.n_past, n_total, dtype=np.float64)
    frequencies, factor = rotary_frequencies(c.rope, c.d_head, n_total)
    q = rotate(q, positions, frequencies, factor)
    cache.append(rotate(k, positions, frequencies, factor), v)
    y = attend(q, cache.k, cache.v, causal=True, window=window, sinks=w.get("sinks"))
    x = x + project(y, "out")

    y = rms_norm(x, w["norm2.weight"], c.epsilon)
    if c.experts is None:
        return x + project(gated(project(y, "gate"), project(y, "up"), c.gate), "down")
    router = project(y, "router")
    experts = [dict(w.scope(f"expert.{e}")) for e in range(router.shape[1])]
    return x + mixture(y, router, experts, c.experts, c.gate)
