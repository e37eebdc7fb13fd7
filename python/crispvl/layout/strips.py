"""Text lines cut into strips that fit on a tile, and tiles made of strips."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.layout.strip_format import StripFormat

if TYPE_CHECKING:
    from crispvl._core import LayoutLine

MARGIN_PX = 3
"""What the core's ``cut_line`` adds to the left and to the right of a strip."""

LEAST_SCALE = 0.65
"""Of a strip's height, to which one is made smaller for a word that is too wide."""


_CUT_HEIGHT_PX = 26  # of the strip in which the place for a cut is looked for
_CUT_ROOM = 0.8  # of the widest strip, that parts of a word fill on average


@dataclass(frozen=True)
class Strip:
    """A part of a text line, from ``x_from`` to ``x_to`` px along it.

    Attributes:
        i_line: Its line's number on the page.
        words: Start and end of the words of ink within, px along the line.
        i_word: Number of the first of them in the line.
        within_word: It goes on with the word in which the strip before it was cut off.
        scale: Of its height to that of other strips.
    """

    i_line: int
    x_from: float
    x_to: float
    words: tuple[tuple[float, float], ...]
    i_word: int
    within_word: bool = False
    scale: float = 1.0

    @property
    def width(self) -> float:
        return self.x_to - self.x_from


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
    words = [(float(start), float(end)) for start, end in line.words]
    limit = (form.width_px - 2 * MARGIN_PX) * line.band_px / form.height_px
    strips: list[Strip] = []
    i_word = 0
    for group in _groups(words, limit / scale):
        start, end = group[0][0], group[-1][1]
        if end - start <= limit / LEAST_SCALE:
            fitting = min(1.0, limit / (end - start))
            strips.append(Strip(i_line, start, end, tuple(group), i_word, scale=fitting))
        else:
            edges = _cuts(page, line, start, end, limit)
            for i, part in enumerate(itertools.pairwise(edges)):
                strips.append(Strip(i_line, *part, (part,), i_word, within_word=i > 0))
        i_word += len(group)
    return strips


def _groups(words: Sequence[tuple[float, float]], limit: float) -> list[list[tuple[float, float]]]:
    """Returns words in the fewest groups no wider than the limit, the widest as narrow as can be.

    A word that is wider than the limit has a group of its own.
    """
    n_groups = len(_fill(words, limit))
    low, high = 0.0, limit
    for _ in range(12):
        middle = (low + high) / 2
        if len(_fill(words, middle)) <= n_groups:
            high = middle
        else:
            low = middle
    return _fill(words, high)


def _fill(words: Sequence[tuple[float, float]], limit: float) -> list[list[tuple[float, float]]]:
    groups: list[list[tuple[float, float]]] = []
    for word in words:
        if groups and word[1] - groups[-1][0][0] <= limit:
            groups[-1].append(word)
        else:
            groups.append([word])
    return groups


def _cuts(
    page: NDArray[np.uint8], line: LayoutLine, start: float, end: float, limit: float
) -> list[float]:
    """Returns where a word too wide for a tile is cut: where it has the least ink, if possible
    between two letters."""
    from crispvl._core import cut_line

    n_parts = math.ceil((end - start) / (_CUT_ROOM * limit))
    strip = cut_line(page, line, _CUT_HEIGHT_PX, start, end)[..., 0]
    ink = (255.0 - strip).sum(axis=0)
    per_px = line.band_px / _CUT_HEIGHT_PX
    reach = round((1 - _CUT_ROOM) / 2 * limit / per_px)
    edges = [start]
    for i in range(1, n_parts):
        middle = round((end - start) * i / n_parts / per_px) + MARGIN_PX
        first = max(0, middle - reach)
        best = first + int(np.argmin(ink[first : middle + reach + 1]))
        edges.append(start + (best - MARGIN_PX + 0.5) * per_px)
    return [*edges, end]


@dataclass(frozen=True)
class StripTile:
    """Strips on one tile.

    Attributes:
        pixels: uint8 ``[tile_px, tile_px, 3]``.
        aspects: Of each strip, from top to bottom, its width by its height.
    """

    pixels: NDArray[np.uint8]
    aspects: tuple[float, ...]


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
    aspects = []
    tile = np.full((form.tile_px, form.tile_px, 3), 255, np.uint8)
    for i_row, strip in enumerate(strips):
        cut = _cut(page, lines[strip.i_line], strip, form, scale, stretch)
        top = form.top_px(i_row, len(cut))
        tile[top : top + len(cut), form.left_px : form.left_px + cut.shape[1]] = cut
        aspects.append(cut.shape[1] / len(cut))
    return StripTile(tile, tuple(aspects))


def _cut(
    page: NDArray[np.uint8],
    line: LayoutLine,
    strip: Strip,
    form: StripFormat,
    scale: float,
    stretch: float,
) -> NDArray[np.uint8]:
    from crispvl._core import cut_line

    height = max(8, int(form.height_px * strip.scale * scale))
    room = (form.width_px - 2 * MARGIN_PX) / (strip.width * height / line.band_px)
    stretch = max(1.0, min(stretch, room))
    cut = cut_line(page, line, height, strip.x_from, strip.x_to, stretch)
    return cut[:, : form.tile_px - form.left_px]
