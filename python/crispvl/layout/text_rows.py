"""Which lines of a layout are beside each other, and where a block of text begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crispvl.layout.typography import is_one_weight

if TYPE_CHECKING:
    from crispvl._core import Layout, LayoutLine

_SAME_ROW = 0.5
"""Of the lower line's height, that must be level with the other for both to be one row."""

_CLOSE = 0.6
"""Of a line's height: the most between two rows of different blocks that belong together."""

_CLOSE_ROWS = 1.5
"""The same, where the upper row is of several lines, as in forms and tables."""

_LIKE = 1.2
"""Times the height of a line: another that is larger or smaller than that begins a block."""


@dataclass(frozen=True)
class TextRow:
    """Lines from left to right on one row of a text.

    Attributes:
        lines: Their numbers on the page.
        first: Whether a block of text begins with it.
    """

    lines: tuple[int, ...]
    first: bool


def text_rows(layout: Layout) -> Iterator[TextRow]:
    """Yields the rows of a page in reading order.

    What follows a line to its right on the same row belongs to it, though it be of another block:
    a label and its value, an article and its price. Rows close under each other are one block, as
    far as one is about as large and as bold as the other.
    """
    places = [_Place(line) for line in layout.lines]
    row: list[int] = []
    first = True
    for number in (number for block in layout.blocks for number in block.lines):
        if row and places[row[-1]].has_beside(places[number]):
            row.append(number)
            continue
        if row:
            yield TextRow(tuple(row), first)
            first = not _is_one_block(layout.lines, places, row, number)
        row = [number]
    if row:
        yield TextRow(tuple(row), first)


def _is_one_block(
    lines: Sequence[LayoutLine], places: Sequence[_Place], row: Sequence[int], next_line: int
) -> bool:
    below = lines[next_line]
    is_same = any(lines[i].block == below.block for i in row)
    if is_same and below.cell is not None:
        return True
    if not any(places[i].is_like(places[next_line]) for i in row):
        return False
    if len(row) == 1 and not is_one_weight(lines[row[0]], below):
        return False
    if is_same:
        return True
    if any((lines[i].cell is None) != (below.cell is None) for i in row):
        return False
    most = _CLOSE if len(row) == 1 else _CLOSE_ROWS
    return any(places[i].has_close_below(places[next_line], most) for i in row)


class _Place:
    """Where a line is, as seen along itself."""

    def __init__(self, line: LayoutLine) -> None:
        start, end = np.asarray(line.baseline, np.float64)
        along = (end - start) / max(1e-6, float(np.linalg.norm(end - start)))
        self._axes = np.array([along, [-along[1], along[0]]])  # along the line, and down from it
        self._quad = np.asarray(line.quad, np.float64)
        self._start = start
        self._band = -line.band[0], line.band[1]
        self._height = line.band_px
        self._left, self._right = self._extent(self._quad, 0)

    def has_beside(self, other: _Place) -> bool:
        """Returns whether another line is level with it, and to its right."""
        left, _ = self._extent(other._quad, 0)
        top, bottom = self._extent(other._quad, 1)
        mine = self._extent(self._quad, 1)
        level = min(bottom, mine[1]) - max(top, mine[0])
        low = min(bottom - top, mine[1] - mine[0])
        return left >= self._right - self._height / 4 and level >= _SAME_ROW * low

    def is_like(self, other: _Place) -> bool:
        """Returns whether another line is about as large."""
        small, large = sorted((self._height, other._height))
        return large < _LIKE * small

    def has_close_below(self, other: _Place, most: float) -> bool:
        """Returns whether another line is under it, with at most this many heights between."""
        left, right = self._extent(other._quad, 0)
        baseline = float((other._start - self._start) @ self._axes[1])
        gap = baseline + other._band[0] - self._band[1]
        overlaps = left < self._right and right > self._left
        return overlaps and baseline > 0 and gap < most * self._height

    def _extent(
        self, quad: np.ndarray[tuple[int, int], np.dtype[np.float64]], axis: int
    ) -> tuple[float, float]:
        """Returns from where to where corners reach, along or across this line."""
        values = (quad - self._start) @ self._axes[axis]
        return float(values.min()), float(values.max())
