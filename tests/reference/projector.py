"""From encoder to text model: patches are merged, then projected."""

from __future__ import annotations

import math

from reference.checkpoint import Weights
from reference.norm import layer_norm
from reference.numbers import Array, gelu, linear

_EPSILON = 1e-5  # PyTorch's LayerNorm, built without arguments


def pixel_unshuffle(x: Array, factor: int) -> Array:
    """Puts ``factor`` × ``factor`` neighbouring patches into one vector.

    Follows InternVLChatModel.pixel_shuffle with ps_version v2: within a vector the patches stand
    row by row, the rows of vectors in the order of the image.

    Args:
        x: ``[n * n, width]`` without class token.
        factor: Patches merged along an edge.

    Returns:
        ``[(n / factor) ** 2, width * factor ** 2]``.
    """
    n, width = math.isqrt(x.shape[0]), x.shape[1]
    m = n // factor
    x = x.reshape(m, factor, m, factor, width).transpose(0, 2, 1, 3, 4)
    return x.reshape(m * m, factor * factor * width)


def projector(x: Array, w: Weights, factor: int) -> Array:
    """Encoder output ``[1 + n_patches, width]`` to image tokens ``[n_tokens, text width]``."""
    y = pixel_unshuffle(x[1:], factor)
    y = layer_norm(y, w["norm.weight"], w["norm.bias"], _EPSILON)
    y = gelu(linear(y, w["fc1.weight"], w["fc1.bias"]))
    return linear(y, w["fc2.weight"], w["fc2.bias"])
