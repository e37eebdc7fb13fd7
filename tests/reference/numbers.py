"""The array type of the reference and its pointwise functions."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_erf = np.frompyfunc(math.erf, 1, 1)


def gelu(x: Array) -> Array:
    """x times the normal distribution function: the erf form, not the tanh approximation."""
    return 0.5 * x * (1.0 + _erf(x / math.sqrt(2.0)).astype(np.float64))


def silu(x: Array) -> Array:
    """x times its logistic function."""
    return x / (1.0 + np.exp(-x))


def softmax(x: Array) -> Array:
    """Over the last axis; minus infinity gets weight zero."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """``weight`` is ``[d_out, d_in]``, as PyTorch stores it."""
    y = x @ weight.T
    return y if bias is None else y + bias
