"""How lines look beside each other: their size, where they end, and which are headings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from crispvl._core import LayoutLine

_LARGER = 1.2
"""Times the height of the page's text, from which on a line may be a heading."""

_BOLDER = 1.4
"""Times the width of strokes of the page's text, from which on a line of its size is bold; single
words of one weight differ by up to 1.3."""

_MUCH_LARGER = 1.6
"""Times the height of the page's text, from which on it is one of the first level."""

_MAX_HEADING_LINES = 3

_ROOM = 1.0  # of a line's height, that a word would have had to spare besides its space
_INDENT = 2  # heights by which the beginnings of lines of one text differ


class Typography:
    """The looks of a page's lines.

    Args:
        lines: Of the page.
    """

    def __init__(self, lines: Sequence[LayoutLine]) -> None:
        self._heights = np.array([line.band_px for line in lines], np.float64)
        self._strokes = np.array([line.stroke_px for line in lines], np.float64)
        self._words = [np.asarray(line.words, np.float64) for line in lines]
        self._quads = np.array([line.quad for line in lines], np.float64).reshape(-1, 4, 2)
        lengths = [float(words[-1, 1]) if len(words) else 0.0 for words in self._words]
        self._usual_size = _weighted_median(self._heights, lengths)
        self._usual_stroke = _weighted_median(self._strokes, lengths)
        self._n_usual = int((self._heights < _LARGER * self._usual_size).sum())

    def heading_level(self, rows: Sequence[Sequence[int]]) -> int:
        """Returns the level of a heading made of rows of lines; 0 where they are none.

        Bold lines of the text's own size are one where nothing is beside them.
        """
        numbers = [i for row in rows for i in row]
        if len(numbers) > _MAX_HEADING_LINES or self._n_usual == 0:
            return 0
        size = min(self._heights[i] for i in numbers) / self._usual_size
        if size >= _LARGER:
            return 1 if size >= _MUCH_LARGER else 2
        is_bold = min(self._strokes[i] for i in numbers) >= _BOLDER * self._usual_stroke
        return 3 if is_bold and len(numbers) == len(rows) else 0

    def ends_early(self, number: int, following: int) -> bool:
        """Returns whether the next line's first word would clearly have had room after a line.

        How far lines reach is measured on those that begin where it does and are about as large.
        """
        words = self._words[following]
        needed = float(words[0, 1] - words[0, 0]) + _ROOM * self._heights[number]
        return bool(self._reach(number) - self._end(number) > needed)

    def _reach(self, number: int) -> float:
        """Returns where the longest line ends that is of a kind with this."""
        size = self._heights[number]
        starts, ends = self._along(number, 0), self._along(number, 1)
        larger = np.maximum(self._heights, size) / np.minimum(self._heights, size)
        alike = (larger < _LARGER) & (
            np.abs(starts - starts[number]) < _INDENT * self._heights[number]
        )
        return float(ends[alike].max())

    def _end(self, number: int) -> float:
        return float(self._along(number, 1)[number])

    def _along(self, number: int, corner: int) -> NDArray[np.float64]:
        """Returns how far a corner of every line is in the direction of one."""
        along = self._quads[number, 1] - self._quads[number, 0]
        places: NDArray[np.float64] = self._quads[:, corner] @ along
        return places / max(1e-6, float(np.linalg.norm(along)))


def is_one_weight(one: LayoutLine, other: LayoutLine) -> bool:
    """Returns whether of two lines of about one size neither is bold beside the other."""
    light, heavy = sorted((one.stroke_px, other.stroke_px))
    return heavy < _BOLDER * light


def _weighted_median(values: NDArray[np.float64], weights: Sequence[float]) -> float:
    if not len(values):
        return 0.0
    order = np.argsort(values)
    sums = np.cumsum(np.asarray(weights)[order])
    at = int(np.searchsorted(sums, sums[-1] / 2))
    return float(values[order[min(at, len(values) - 1)]])
