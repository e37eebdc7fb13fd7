"""Pages whose letters differ from the paper in colour and not in brightness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601
_SAMPLES = 1_000_000  # pixels looked at, of however many
_ENOUGH = 0.6
"""Luma is kept where it spans this share of what the best channel spans."""


def with_contrast(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns a page as it is, or as the one channel in which its letters can be told.

    Magenta on green of the same brightness is even grey in luma, which is all the layout sees.

    Args:
        pixels: RGB ``[height, width, 3]``.
    """
    step = max(1, round((pixels.shape[0] * pixels.shape[1] / _SAMPLES) ** 0.5))
    sample = pixels[::step, ::step].reshape(-1, 3)
    spans = [_span(channel) for channel in sample.T]
    best = int(np.argmax(spans))
    if _span(sample @ _LUMA) >= _ENOUGH * spans[best]:
        return pixels
    return np.repeat(pixels[..., best : best + 1], 3, axis=2)


def _span(values: NDArray[np.uint8] | NDArray[np.float32]) -> float:
    low, high = np.percentile(values, (0.5, 99.5))
    return float(high - low)
