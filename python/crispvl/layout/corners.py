"""Corners of quadrilaterals as results hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from crispvl.results.lines import Quad


def corners(quad: NDArray[np.floating[Any]]) -> Quad:
    """Returns a quadrilateral ``[4, 2]`` as numbers, to a hundredth of a px."""
    a, b, c, d = ((round(float(x), 2), round(float(y), 2)) for x, y in quad)
    return a, b, c, d
