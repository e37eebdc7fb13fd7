"""Scaled dot-product attention over heads, grouped where there are fewer keys than queries."""

from __future__ import annotations

import math

import numpy as np

from reference.numbers import Array, softmax


def split_heads(x: Array, n_heads: int) -> Array:
    """``[n_tokens, n_heads * d_head]`` to ``[n_heads, n_tokens, d_head]``."""
    return x.reshape(x.shape[0], n_heads, -1).transpose(1, 0, 2)


def attend(
    q: Array,
    k: Array,
    v: Array,
    *,
    causal: bool,
    window: int = 0,
    sinks: Array | None = None,
) -> Array:
    """Attention of every query over the keys.

    Args:
        q: ``[n_heads, n_queries, d_head]``; with ``causal`` the last query sees every key.
        k: ``[n_kv_heads, n_keys, d_head]``; head ``h`` of q uses ``h // (n_heads / n_kv_heads)``.
        v: As ``k``.
        causal: Whether a query sees only keys up to its own position.
        window: Newest of these keys that it sees, its own among them; 0 for all.
        sinks: ``[n_heads]``, a logit of each head that takes part in the softmax and brings no
            value (``eager_attention_forward`` of transformers' ``modeling_gpt_oss.py``).

    Returns:
        ``[n_queries, n_heads * d_head]``.
    """
    n_groups = q.shape[0] // k.shape[0]
    k, v = np.repeat(k, n_groups, axis=0), np.repeat(v, n_groups, axis=0)
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1])
    if causal:
        n_queries, n_keys = scores.shape[1:]
        age = np.arange(n_keys - n_queries, n_keys)[:, None] - np.arange(n_keys)
        hidden = (age < 0) | ((age >= window) if window else False)
        scores = np.where(hidden, -np.inf, scores)
    if sinks is not None:
        column = np.broadcast_to(sinks[:, None, None], (*scores.shape[:2], 1))
        scores = np.concatenate([scores, column], axis=-1)
    out = softmax(scores)[..., : k.shape[1]] @ v
    return out.transpose(1, 0, 2).reshape(q.shape[1], -1)
