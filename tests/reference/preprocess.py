"""Tiles to the encoder's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from reference.numbers import Array


def normalise(tiles: NDArray[np.uint8], mean: Array, std: Array) -> Array:
    """Bytes ``[n, px, px, 3]`` to channels-first numbers ``[n, 3, px, px]``."""
    x = (tiles.astype(np.float64) / 255.0 - mean) / std
    return x.transpose(0, 3, 1, 2)
