"""Pages whose letters differ from the paper in colour and not in brightness, or hardly at all."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.inputs.ink import FAINTEST_CONTRAST

_SAMPLES = 100_000  # pixels looked at, of however many
_ENOUGH = 0.6
"""Luma is kept where it spans this share of what the best channel spans."""

_FAINT, _LEGIBLE = 40, 96
"""Levels by which letters differ from the paper: fewer than the first are made the second."""


def contrast_channel(page: Image.Image) -> NDArray[np.uint8]:
    """Returns the one channel of a page in which its letters show, ``[height, width]``.

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
        return _strengthened(luma, step)
    return _strengthened(np.asarray(page.getchannel(best)), step)


def _strengthened(channel: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Returns a page of faint letters with stronger ones; another as it is."""
    sample = channel[::step, ::step]
    low, paper, high = (float(v) for v in np.percentile(sample, (0.05, 50, 99.95)))
    span = max(high - paper, paper - low)
    if not FAINTEST_CONTRAST <= span < _FAINT:
        return channel
    levels = np.arange(256) - paper
    table = (paper + levels * (_LEGIBLE / span)).clip(0, 255).astype(np.uint8)
    strengthened: NDArray[np.uint8] = table[channel]
    return strengthened


def _span(levels: NDArray[np.uint8]) -> float:
    """Returns the distance of the lightest from the darkest levels, specks left out."""
    n_below = np.bincount(levels.ravel(), minlength=256).cumsum()
    low, high = np.searchsorted(n_below, (0.005 * levels.size, 0.995 * levels.size))
    return float(high - low)
