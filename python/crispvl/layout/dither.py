"""Shades that are drawn as dots on pages of black and white, made grey again.

A model reads faint grey letters; of scattered dots it makes nothing, and the layout no lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_BLOCK_PX = 8  # side of the squares in which ink is counted
_REACH = 3  # blocks to each side of one that are looked at with it
_FEWEST_DOTS = 12  # in all of them; specks of dust are fewer
_MOSTLY = 0.5  # of the ink in them must be dots: letters printed among them keep their edges
_FREE = 0.25  # of them must be without ink, as between letters; a dithered ground leaves none
_TWO_LEVELS = 0.98  # of the pixels, on a page of black and white


def without_dots(page: Image.Image) -> Image.Image:
    """Returns a page whose dithered parts are shades of grey; itself where it has none.

    Args:
        page: RGB.
    """
    grey = page.convert("L")
    counts = np.array(grey.histogram())
    if np.sort(counts)[-2:].sum() < _TWO_LEVELS * counts.sum():
        return page
    ink = np.asarray(grey) != counts.argmax()
    dots = ink & ~_has_neighbour(ink)
    n_dots, n_ink = _per_block(dots), _per_block(ink)
    is_dots = (_around(n_dots) >= _FEWEST_DOTS) & (_around(n_dots) > _MOSTLY * _around(n_ink))
    blocks = is_dots & (_around(n_ink == 0) >= _FREE * (2 * _REACH + 1) ** 2)
    shaded = np.kron(blocks, np.ones((_BLOCK_PX, _BLOCK_PX), bool))[: page.height, : page.width]
    if not shaded.any():
        return page
    smooth = page.filter(ImageFilter.BoxBlur(1))
    return Image.composite(smooth, page, Image.fromarray(shaded))


def _has_neighbour(ink: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns beside which pixels, on any of four sides, there is ink."""
    around = np.pad(ink, 1)
    beside: NDArray[np.bool_] = (
        around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:]
    )
    return beside


def _per_block(pixels: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Returns how many pixels are set in each block."""
    height, width = pixels.shape
    padded = np.pad(pixels, ((0, -height % _BLOCK_PX), (0, -width % _BLOCK_PX)))
    shape = padded.shape[0] // _BLOCK_PX, _BLOCK_PX, padded.shape[1] // _BLOCK_PX, _BLOCK_PX
    counts: NDArray[np.int32] = padded.reshape(shape).sum((1, 3), dtype=np.int32)
    return counts


def _around(counts: NDArray[Any]) -> NDArray[np.int32]:
    """Returns the sum over each block and those within reach."""
    side = 2 * _REACH + 1
    sums = np.pad(counts, ((_REACH + 1, _REACH), (_REACH + 1, _REACH))).cumsum(0, np.int32)
    sums = sums.cumsum(1)
    around: NDArray[np.int32] = (
        sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    )
    return around
