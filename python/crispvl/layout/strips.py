"""Text lines cut into strips that fit on a tile, and tiles made of strips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crispvl import _core
from crispvl._core import LayoutLine, Strip, StripTile
from crispvl.layout.strip_format import StripFormat

__all__ = ["Strip", "StripTile", "cut_into_strips", "make_tile"]


def cut_into_strips(
    page: NDArray[np.uint8], i_line: int, line: LayoutLine, form: StripFormat, scale: float = 1.0
) -> list[Strip]:
    """Cuts a line into the fewest strips that a tile holds, between words, of like widths.

    Args:
        page: uint8 ``[height, width]`` or RGB.
        i_line: Number of the line on the page.
        line: Of the page.
        form: Of the model's tiles.
        scale: Of their height, to which strips may be made smaller where that makes them fewer.
    """
    return _core.cut_into_strips(page, i_line, line, form.as_tuple(), scale)


def make_tile(
    page: NDArray[np.uint8],
    lines: Sequence[LayoutLine],
    strips: Sequence[Strip],
    form: StripFormat,
    scale: float = 1.0,
    stretch: float = 1.0,
) -> StripTile:
    """Draws strips on a tile.

    Args:
        page: uint8 ``[height, width]`` or RGB.
        lines: Of the page.
        strips: At most ``form.n_rows`` of them.
        form: Of the model's tiles.
        scale: Of all strips' heights, at most 1.
        stretch: Of their widths besides, at least 1, as far as there is room.
    """
    return _core.make_tile(page, lines, strips, form.as_tuple(), scale, stretch)
