"""The strips of a page, and the surest reading of each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.layout.doubt import Reading, is_credible, judge
from crispvl.layout.drawn_pages import DRAWN_SCALE, is_drawn
from crispvl.layout.joining import ReadLine, join_strips
from crispvl.layout.rows import Row
from crispvl.layout.strip_format import StripFormat
from crispvl.layout.strips import StripTile, cut_into_strips, make_tile

if TYPE_CHECKING:
    from crispvl._core import LayoutLine


class PageStrips:
    """The strips of a page's lines, known by their numbers, and what was read for them.

    Args:
        pixels: uint8 ``[height, width]``.
        lines: Of the page.
        form: Of the model's tiles.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], lines: Sequence[LayoutLine], form: StripFormat
    ) -> None:
        self._pixels = pixels
        self._lines = lines
        self._form = form
        scale = DRAWN_SCALE if is_drawn(pixels) else 1.0
        cut = [cut_into_strips(pixels, i, line, form, scale) for i, line in enumerate(lines)]
        self._strips = [strip for of_line in cut for strip in of_line]
        ends = itertools.accumulate((len(of_line) for of_line in cut), initial=0)
        self._of_line = [range(first, end) for first, end in itertools.pairwise(ends)]
        self._best: dict[int, Reading] = {}

    def doubtful(self) -> list[int]:
        """Returns the strips that are to be read, or read again."""
        everything = range(len(self._strips))
        return [i for i in everything if i not in self._best or self._best[i].doubtful]

    def unread(self) -> list[int]:
        """Returns the strips for which nothing was read that they could show."""
        everything = range(len(self._strips))
        return [i for i in everything if i not in self._best or not self._best[i].plausible]

    def settled(self, i_lines: Sequence[int]) -> bool:
        """Returns whether some lines were read beyond doubt."""
        found = [self._best.get(i) for i_line in i_lines for i in self._of_line[i_line]]
        return all(reading is not None and not reading.doubtful for reading in found)

    def tile(self, numbers: Sequence[int], scale: float, stretch: float) -> StripTile:
        """Returns a tile of some strips, as `make_tile` draws them."""
        strips = [self._strips[i] for i in numbers]
        return make_tile(self._pixels, self._lines, strips, self._form, scale, stretch)

    def take(self, numbers: Sequence[int], rows: Sequence[Row], whole: bool) -> None:
        """Keeps the rows of an answer where they are surer than what was read before.

        An answer with another number of rows than there were strips does not tell which row is
        whose, and is not used, nor is one that did not come to its end.

        Args:
            numbers: Of the strips that were shown.
            rows: Of the answer.
            whole: Whether the answer came to its end.
        """
        if len(rows) == len(numbers) + 1 and not rows[-1].text:
            rows = rows[:-1]
        if len(rows) != len(numbers) or not whole:
            return
        for i, row in zip(numbers, rows, strict=True):
            strip = self._strips[i]
            reading = judge(strip, row, self._lines[strip.i_line].x_height_px)
            if i not in self._best or reading.score > self._best[i].score:
                self._best[i] = reading

    def join(self, i_line: int) -> ReadLine:
        """Returns a line as it was read; strips without a reading that fits them are left out.

        Of a line that is not credible nothing is left.
        """
        numbers = self._of_line[i_line]
        known = [i for i in numbers if i in self._best and self._best[i].fits]
        line = join_strips(
            self._lines[i_line],
            [self._strips[i] for i in known],
            [self._best[i].row for i in known],
        )
        return line if is_credible(line.text, line.logprob) else replace(line, words=(), rows=())
