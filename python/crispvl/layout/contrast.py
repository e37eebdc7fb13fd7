"""Pages whose letters differ from the paper in colour and not in brightness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SAMPLES = 100_000  # pixels looked at, of however many
_ENOUGH = 0.6
"""Luma is kept where it spans this share of what the best channel spans."""


def contrast_channel(page: Image.Image) -> NDArray[np.uint8]:
    """Returns the one channel of a page in which its letters can be told, ``[height, width]``.

    That is luma, but for pages like magenta on green of the same brightness, which in luma is even
    grey: those keep red, green or blue.

    Args:
        page: RGB.
    """
    luma = np.asarray(page.convert("L"))
    step = max(1, round((page.width * page.height / _SAMPLES) ** 0.5))
    sample = np.asarray(page)[::step, ::step].reshape(-1, 3)
    spans = [_span(channel) for channel in sample.T]
    best = int(np.argmax(spans))
    if _span(luma[::step, ::step]) >= _ENOUGH * spans[best]:
        return luma
    return np.asarray(page.getchannel(best))


def _span(values: NDArray[np.uint8]) -> float:
    low, high = np.percentile(values, (0.5, 99.5))
    return float(high - low)
