"""Whether there is ink on a page, to tell a blank one before any model sees it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

MAX_SIDE_PX = 1600
"""Pages are looked at in this size, in which the smallest print still shows."""

MIN_CONTRAST = 24
"""Levels by which ink differs from the paper around it; scanner noise stays below."""

FAINTEST_CONTRAST = 12
"""Levels by which ink differs on a page without noise: thin strokes of light grey letters."""

MIN_INK_PX = 8
"""Fewest pixels of ink on a page that is not blank: the smallest figure has more, a speck less."""

_PAPER_PX = 31  # the paper's own level is looked for within about this distance
_NOISE = 5.0  # standard deviations of a page's noise that are not ink, up to 2 * MIN_CONTRAST
_BAND_PX = 128  # rows that are looked at together
_STROKE_PX = 5  # dark pixels within as wide a window that make a stroke; dust has fewer
_DITHER_PX = 32  # side of the window in which the dots of dithered letters are counted
_CHANCE = 10.0  # standard deviations above the paper's dots per window that chance does not reach


def ink_pixels(page: Image.Image) -> int:
    """Returns how many pixels are part of strokes, at a longer side of at most `MAX_SIDE_PX`."""
    return int(ink_mask(page).sum())


def ink_mask(page: Image.Image, least: float = FAINTEST_CONTRAST) -> NDArray[np.bool_]:
    """Returns which pixels are part of strokes, ``[height, width]`` of at most `MAX_SIDE_PX`.

    The paper may be of any colour and unevenly lit. Ink may differ from it in any of red, green
    and blue. Noise and specks of few pixels don't count, nor does what differs by less than
    ``least`` levels.
    """
    small = _reduced(page)
    ink = np.zeros((small.height, small.width), bool)
    for channel in _channels(small):
        ink |= _strokes(channel, least)
    return ink


def is_blank(page: Image.Image) -> bool:
    """Returns whether a page holds nothing to read."""
    dark = [_dark(channel, FAINTEST_CONTRAST) for channel in _channels(_reduced(page))]
    return not _has_strokes(dark) and ink_pixels(page) < MIN_INK_PX


def _has_strokes(dark: Sequence[NDArray[np.bool_]]) -> bool:
    """Returns whether enough dark pixels of the channels make strokes, looking no further then."""
    reach = _STROKE_PX // 2
    n_found = 0
    for top in range(0, len(dark[0]), _BAND_PX):
        first, end = max(top - reach, 0), top + _BAND_PX + reach
        bands = [channel[first:end] for channel in dark]
        ink = np.logical_or.reduce([_in_strokes(band) for band in bands])
        n_found += int(ink[top - first : top - first + _BAND_PX].sum())
        if n_found >= MIN_INK_PX:
            return True
    return False


def _reduced(page: Image.Image) -> Image.Image:
    if max(page.size) <= MAX_SIDE_PX:
        return page
    small = page.copy()
    small.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX, reducing_gap=None)
    return small


def _channels(page: Image.Image) -> list[Image.Image]:
    """Returns red, green and blue, or one channel where they are the same."""
    if page.mode != "RGB":
        return [page.convert("L")]
    red, green, blue = page.split()
    is_grey = red.tobytes() == green.tobytes() == blue.tobytes()
    return [red] if is_grey else [red, green, blue]


def _dark(channel: Image.Image, least: float) -> NDArray[np.bool_]:
    """Returns which pixels differ from the paper by more than noise does."""
    contrast = np.abs(np.asarray(channel).astype(np.int16) - _paper(channel))
    noise = _median_level(contrast) / 0.6745  # the standard deviation, were all of it noise
    dark: NDArray[np.bool_] = contrast > max(least, min(_NOISE * noise, 2 * MIN_CONTRAST))
    return dark


def _median_level(levels: NDArray[np.int16]) -> float:
    """Returns the median of levels from 0 to 255, by counting."""
    n_below = np.bincount(levels.ravel(), minlength=256).cumsum()
    middle = (levels.size - 1) // 2, levels.size // 2
    return float(np.searchsorted(n_below, middle, side="right").mean())


def _in_strokes(dark: NDArray[np.bool_]) -> NDArray[np.bool_]:
    strokes: NDArray[np.bool_] = dark & (_neighbours(dark, _STROKE_PX) >= _STROKE_PX)
    return strokes


def _strokes(channel: Image.Image, least: float) -> NDArray[np.bool_]:
    dark = _dark(channel, least)
    strokes = _in_strokes(dark)
    if strokes.sum() < MIN_INK_PX and _is_even(channel):
        dots = _neighbours(dark, _DITHER_PX)
        on_paper = float(np.percentile(dots, 25))
        strokes |= dark & (dots >= on_paper + _CHANCE * max(on_paper, 1) ** 0.5)
    return strokes


def _is_even(channel: Image.Image) -> bool:
    """Returns whether the paper has one level, as where dots stand for shades of grey."""
    return 2 * max(channel.histogram()) > channel.width * channel.height


def _neighbours(dark: NDArray[np.bool_], side_px: int) -> NDArray[np.int32]:
    """Returns how many pixels are set in the window around each, itself counted."""
    before, n = side_px // 2, side_px
    padded = np.pad(dark, ((before + 1, n - 1 - before), (before + 1, n - 1 - before)))
    sums = padded.cumsum(0, np.int32).cumsum(1)
    counts: NDArray[np.int32] = sums[n:, n:] - sums[:-n, n:] - sums[n:, :-n] + sums[:-n, :-n]
    return counts


def _paper(channel: Image.Image) -> NDArray[np.int16]:
    """Returns the level of the paper under each pixel: the median of its wider neighbourhood."""
    size = max(3, channel.width // _PAPER_PX), max(3, channel.height // _PAPER_PX)
    small = channel.resize(size, Image.Resampling.BOX).filter(ImageFilter.MedianFilter(5))
    return np.asarray(small.resize(channel.size, Image.Resampling.BILINEAR)).astype(np.int16)
