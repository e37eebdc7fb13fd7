"""Image patches to vectors, with class token and positions."""

from __future__ import annotations

import numpy as np

from reference.numbers import Array


def patch_embed(x: Array, weight: Array, bias: Array, class_token: Array, position: Array) -> Array:
    """A convolution whose stride is its kernel, the class token before it, positions added.

    Args:
        x: One tile ``[3, px, px]``.
        weight: ``[width, 3, patch, patch]``.
        bias: ``[width]``.
        class_token: ``[width]``.
        position: ``[1 + n_patches, width]``, the class token's row first.

    Returns:
        ``[1 + n_patches, width]``, patches row by row.
    """
    width, channels, p, _ = weight.shape
    n = x.shape[1] // p
    patches = x.reshape(channels, n, p, n, p).transpose(1, 3, 0, 2, 4).reshape(n * n, -1)
    embedded = patches @ weight.reshape(width, -1).T + bias
    return np.concatenate([class_token[None], embedded]) + position
