"""The two normalisations, over the last axis."""

from __future__ import annotations

import numpy as np

from reference.numbers import Array


def layer_norm(x: Array, weight: Array, bias: Array, epsilon: float) -> Array:
    """Zero mean, unit variance (biased), then scale and shift."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return centred / np.sqrt(variance + epsilon) * weight + bias


def rms_norm(x: Array, weight: Array, epsilon: float) -> Array:
    """Unit mean square, then scale."""
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * weight
