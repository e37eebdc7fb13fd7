"""One block of the text model; Qwen2, Qwen3, InternLM2 and InternLM3 differ in switches only."""

from __future__ import annotations

import numpy as np

from reference.attention import attend, split_heads
from reference.checkpoint import DecoderConfig, Weights
from reference.norm import rms_norm
from reference.numbers import Array, linear, silu
from reference.rope import rotary_frequencies, rotate


def decoder_layer(x: Array, w: Weights, c: DecoderConfig) -> Array:
    """Causal attention with rotary positions, then a gated MLP.

    Args:
        x: ``[n_tokens, width]``, the whole sequence from position 0.
        w: The block's weights.
        c: Switches and sizes.
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
    positions = np.arange(x.shape[0], dtype=np.float64)
    frequencies, factor = rotary_frequencies(c.rope, c.d_head, x.shape[0])
    q = rotate(q, positions, frequencies, factor)
    k = rotate(k, positions, frequencies, factor)
    x = x + project(attend(q, k, v, causal=True), "out")

    y = rms_norm(x, w["norm2.weight"], c.epsilon)
    return x + project(silu(project(y, "gate")) * project(y, "up"), "down")
