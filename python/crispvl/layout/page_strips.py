"""The strips of a page, and the surest reading of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crispvl.layout.strip_format import StripFormat

if TYPE_CHECKING:
    from crispvl._core import LayoutLine, Look, ReadLine, Row, StripTile


class PageStrips:
    """The strips of a page's lines, known by their numbers, and what was read for them.

    Args:
        pixels: uint8 ``[height, width]``.
        lines: Of the page.
        form: Of the model's tiles.

    Attributes:
        looks: How strips are shown to the model, one look after the other.
    """

    def __init__(
        self, pixels: NDArray[np.uint8], lines: Sequence[LayoutLine], form: StripFormat
    ) -> None:
        from crispvl import _core

        self.looks: list[Look] = _core.LOOKS
        self._strips = _core.PageStrips(pixels, lines, form.as_tuple())

    def doubtful(self) -> list[int]:
        """Returns the strips that are to be read, or read again."""
        return self._strips.doubtful()

    def unread(self) -> list[int]:
        """Returns the strips for which nothing was read that they could show."""
        return self._strips.unread()

    def wants(self, look: Look, number: int) -> bool:
        """Returns whether a look is meant for a strip, as far as it was read by now."""
        return self._strips.wants(look, number)

    def tiles_of(self, numbers: Sequence[int], look: Look) -> list[list[list[int]]]:
        """Returns the strips of each row of each tile of a look with some strips, in their order.

        Only to the last tile more strips could be added.
        """
        return self._strips.tiles_of(numbers, look)

    def shown_to(self, look: Look) -> list[list[list[int]]]:
        """Returns the strips of each row of each tile of a look."""
        return self._strips.shown_to(look)

    def settled(self, i_lines: Sequence[int]) -> bool:
        """Returns whether some lines were read beyond doubt."""
        return self._strips.settled(i_lines)

    def tile(self, numbers: Sequence[Sequence[int]], look: Look) -> StripTile:
        """Returns a tile of some strips."""
        return self._strips.tile(numbers, look)

    def take(self, numbers: Sequence[Sequence[int]], rows: Sequence[Row], whole: bool) -> None:
        """Keeps the rows of an answer where they are surer than what was read before.

        An answer with another number of rows than were shown does not tell which row is whose, and
        is not used, nor is one that did not come to its end.

        Args:
            numbers: Of the strips of each row that was shown.
            rows: Of the answer.
            whole: Whether the answer came to its end.
        """
        self._strips.take(numbers, rows, whole)

    def join(self, i_line: int) -> ReadLine:
        """Returns a line as it was read; strips without a reading that fits them are left out.

        Of a line that is not credible nothing is left.
        """
        return self._strips.join(i_line)
