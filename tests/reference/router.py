"""InternVL3.5-Flash: the router that says which tiles few tokens are enough for, and their tokens.

Follows the published code as lmdeploy has it (``internvl.py``: ``CrossAttentionPooling``,
``Gating``, ``mlp2``, ``extract_and_compress``). Of the pooling's four attentions it asks the first
one once and the second one three times.
"""

from __future__ import annotations

import numpy as np

from reference.attention import attend, split_heads
from reference.checkpoint import RouterConfig, Weights
from reference.norm import layer_norm
from reference.numbers import Array, gelu, linear, softmax
from reference.projector import pixel_unshuffle

N_HEADS = 16  # the class's own
EPSILON = 1e-5  # PyTorch's LayerNorm


def _norm(x: Array, w: Weights) -> Array:
    return layer_norm(x, w["weight"], w["bias"], EPSILON)


def _look(query: Array, patches: Array, w: Weights) -> Array:
    """One MultiheadAttention of PyTorch: ``[n_queries, width]`` over ``[n_patches, width]``."""
    weights = np.split(w["in_proj_weight"], 3)
    biases = np.split(w["in_proj_bias"], 3)
    q, k, v = (
        split_heads(linear(x, m, b), N_HEADS)
        for x, m, b in zip((query, patches, patches), weights, biases, strict=True)
    )
    y = attend(q, k, v, causal=False)
    return linear(y, w["out_proj.weight"], w["out_proj.bias"])


def score(patches: Array, pool: Weights, gate: Weights) -> Array:
    """How likely few tokens are enough for a tile, and that they are not: ``[2]``.

    Args:
        patches: ``[n_patches, width]``, without the class token.
        pool: ``pooling_before_gating``.
        gate: ``gating``.
    """
    x = _norm(_look(pool["query_token"], patches, pool.scope("attn1")), pool.scope("norm1"))
    for _ in range(3):
        x = _norm(_look(x, patches, pool.scope("attn2")), pool.scope("norm2"))
    for i in range(1, 5):
        w = gate.scope(f"block{i}")
        y = gelu(linear(x, w["0.weight"], w["0.bias"]))
        x = x + _norm(linear(y, w["3.weight"], w["3.bias"]), w.scope("5"))
    x = _norm(x, gate.scope("gate.0"))
    return softmax(linear(x, gate["gate.1.weight"], gate["gate.1.bias"]))[0]


def small_projector(x: Array, w: Weights, n: int) -> Array:
    """Encoder output ``[1 + n_patches, width]`` to a token for each square of ``n x n`` patches."""
    x = _norm(pixel_unshuffle(x[1:], n), w.scope("0"))
    for i in (1, 4):
        x = gelu(linear(x, w[f"{i}.weight"], w[f"{i}.bias"]))
    return linear(x, w["7.weight"], w["7.bias"])


def choose(scores: Array, c: RouterConfig) -> Array:
    """Which tiles are cut short, by all tiles' scores ``[n_tiles]``."""
    relative = np.quantile(scores, c.relative_threshold)
    chosen: Array = (scores > relative) & (scores >= c.absolute_threshold)
    return chosen
