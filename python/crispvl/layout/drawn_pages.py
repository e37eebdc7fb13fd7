"""Pages drawn by a computer, which never were on paper: their print is read at a smaller size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DRAWN_SCALE = 0.85
"""Of the height of strips, at which clean print is read about as well."""

_SAMPLES = 1_000_000  # pixels looked at, of however many
_NEAR = 40  # levels within which a pixel is nearly paper
_SMOOTH, _NOISY = 0.02, 0.25
"""Pixels that are nearly paper, by those of ink: letters with smooth edges have between so many,
thresholded ones none, and a scanner's noise and JPEG make more."""


def is_drawn(page: NDArray[np.uint8]) -> bool:
    """Returns whether a page has neither a scanner's noise nor the hard edges of a fax.

    Args:
        page: uint8 ``[height, width]``.
    """
    step = max(1, round((page.size / _SAMPLES) ** 0.5))
    counts = np.bincount(page[::step, ::step].ravel(), minlength=256)
    paper = int(counts.argmax())
    around = int(counts[max(0, paper - _NEAR) : paper + _NEAR + 1].sum())
    near, ink = around - int(counts[paper]), int(counts.sum()) - around
    return _SMOOTH * ink < near < _NOISY * ink
