"""Row orders: what conversion changes about a matrix is the order of its rows.

Each function returns indices into the rows of a stored matrix; the same indices serve its bias.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]


def third(index: int, width: int) -> Rows:
    """Rows of q (0), k (1) or v (2) in a matrix that stacks the three."""
    return np.arange(index * width, (index + 1) * width, dtype=np.int64)


def every_other(first: int, n: int) -> Rows:
    """``n`` rows from ``first`` on, each second one: gate (0) or up (1) rows that take turns."""
    return np.arange(first, first + 2 * n, 2, dtype=np.int64)


def grouped(part: str, n_heads: int, n_kv_heads: int, d_head: int) -> Rows:
    """Rows of ``q``, ``k`` or ``v`` in InternLM2's fused matrix.

    Each group of heads that share a key holds the group's queries, then its key, then its value.
    """
    n_queries = n_heads // n_kv_heads
    n_rows = (n_heads + 2 * n_kv_heads) * d_head
    groups = np.arange(n_rows, dtype=np.int64).reshape(n_kv_heads, n_queries + 2, d_head)
    members = {"q": slice(0, n_queries), "k": slice(-2, -1), "v": slice(-1, None)}[part]
    return groups[:, members].reshape(-1)


def interleaved(n_heads: int, d_head: int) -> Rows:
    """Order that turns rotary pairs (i, i + d/2) of each head into neighbours (2i, 2i + 1).

    llama.cpp stores q and k of its ``llama`` and ``internlm2`` architectures like this.
    """
    pairs = np.arange(n_heads * d_head, dtype=np.int64).reshape(n_heads, 2, d_head // 2)
    order: Rows = pairs.transpose(0, 2, 1).reshape(-1)
    return order
