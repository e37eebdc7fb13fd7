"""How much of a page is covered with ink, to tell a blank one before any model sees it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

MAX_SIDE_PX = 1600
"""Pages are looked at in this size, in which the smallest print still shows."""

MIN_CONTRAST = 24
"""Grey levels by which ink differs from the paper around it; scanner noise stays below."""

MIN_COVERAGE = 1e-5
"""Least part of a page that is ink: a lone page number has more."""

_PAPER_PX = 31  # the paper's own grey is looked for within about this distance


def ink_coverage(page: Image.Image) -> float:
    """Returns which part of a page differs from its paper, from 0 to 1.

    The paper may be of any colour and unevenly lit. Specks and noise of single pixels don't count.
    """
    grey = page.convert("L")
    grey.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX, reducing_gap=None)
    grey = grey.filter(ImageFilter.MedianFilter(3))
    values = np.asarray(grey).astype(np.int16)
    return float((np.abs(values - _paper(grey)) > MIN_CONTRAST).mean())


def is_blank(page: Image.Image) -> bool:
    """Returns whether a page holds nothing to read."""
    return ink_coverage(page) < MIN_COVERAGE


def _paper(grey: Image.Image) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """Returns the grey of the paper under each pixel: the median of its wider neighbourhood."""
    size = max(3, grey.width // _PAPER_PX), max(3, grey.height // _PAPER_PX)
    small = grey.resize(size, Image.Resampling.BOX).filter(ImageFilter.MedianFilter(5))
    return np.asarray(small.resize(grey.size, Image.Resampling.BILINEAR)).astype(np.int16)
