"""Whether there is ink on a page, to tell a blank one before any model sees it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

MAX_SIDE_PX = 1600
"""Pages are looked at in this size, in which the smallest print still shows."""

MIN_CONTRAST = 24
"""Grey levels by which ink differs from the paper around it; scanner noise stays below."""

FAINTEST_CONTRAST = 12
"""Grey levels by which ink differs on a page without noise: thin strokes of light grey letters."""

MIN_INK_PX = 8
"""Fewest pixels of ink on a page that is not blank: the smallest figure has more, a speck less."""

_PAPER_PX = 31  # the paper's own grey is looked for within about this distance
_NOISE = 5.0  # standard deviations of a page's noise that are not ink, up to 2 * MIN_CONTRAST
_STROKE_PX = 5  # dark pixels within as wide a window that make a stroke; dust has fewer


def ink_pixels(page: Image.Image) -> int:
    """Returns how many pixels are part of strokes, at a longer side of at most `MAX_SIDE_PX`.

    The paper may be of any colour and unevenly lit. Noise and specks of few pixels don't count.
    """
    grey = page.convert("L")
    grey.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX, reducing_gap=None)
    contrast = np.abs(np.asarray(grey).astype(np.int16) - _paper(grey))
    noise = float(np.median(contrast)) / 0.6745  # the standard deviation, were all of it noise
    least = min(max(FAINTEST_CONTRAST, _NOISE * noise), 2 * MIN_CONTRAST)
    dark = contrast > least
    return int((dark & (_neighbours(dark) >= _STROKE_PX)).sum())


def is_blank(page: Image.Image) -> bool:
    """Returns whether a page holds nothing to read."""
    return ink_pixels(page) < MIN_INK_PX


def _neighbours(dark: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Returns how many pixels are set in the window around each, itself counted."""
    half = _STROKE_PX // 2
    sums = np.pad(dark, ((half + 1, half), (half + 1, half))).cumsum(0, np.int32).cumsum(1)
    n = _STROKE_PX
    counts: NDArray[np.int32] = sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]
    return counts


def _paper(grey: Image.Image) -> NDArray[np.int16]:
    """Returns the grey of the paper under each pixel: the median of its wider neighbourhood."""
    size = max(3, grey.width // _PAPER_PX), max(3, grey.height // _PAPER_PX)
    small = grey.resize(size, Image.Resampling.BOX).filter(ImageFilter.MedianFilter(5))
    return np.asarray(small.resize(grey.size, Image.Resampling.BILINEAR)).astype(np.int16)
