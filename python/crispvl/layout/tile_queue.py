"""The order in which a page's tiles are shown to a model."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crispvl.layout.page_strips import PageStrips

if TYPE_CHECKING:
    from crispvl._core import Look, Row


@dataclass(frozen=True)
class ShownTile:
    """A tile that is to be drawn.

    Attributes:
        i_look: Number of the look.
        look: How its strips are shown.
        rows: The numbers of the strips of each row.
    """

    i_look: int
    look: Look
    rows: Sequence[Sequence[int]]

    @property
    def numbers(self) -> list[int]:
        return sorted(number for row in self.rows for number in row)


class TileQueue:
    """Tells which tile is next, while answers to earlier ones are still being written.

    A later look needs no more than the strips that fill its next tile. So its tiles are the same as
    if each look began when the one before was over, but nobody waits for the last answer of a look.

    Args:
        strips: Of the page; they take the answers.
    """

    def __init__(self, strips: PageStrips) -> None:
        self._strips = strips
        # Strips for each look: for the first, all that are not read yet.
        self._waiting = [strips.doubtful(), *([] for _ in strips.looks[1:])]
        self._n_open = [0] * len(strips.looks)  # tiles without an answer
        self._ready: deque[ShownTile] = deque()
        self._shown: list[ShownTile] = []
        self._fill(0)

    @property
    def n_tiles(self) -> int:
        """Of those that were shown or can be shown by now."""
        return len(self._shown) + len(self._ready)

    def next(self) -> ShownTile | None:
        """Returns the next tile; None where there is none before another answer, or at all."""
        if not self._ready:
            return None
        self._shown.append(self._ready.popleft())
        return self._shown[-1]

    def take(self, i_tile: int, rows: Sequence[Row], whole: bool) -> None:
        """Takes the answer to a tile; answers come in the order of the tiles.

        Args:
            i_tile: Number of the tile, in the order in which they were shown.
            rows: Of the answer.
            whole: Whether it came to its end.
        """
        tile = self._shown[i_tile]
        self._strips.take(tile.rows, rows, whole)
        self._n_open[tile.i_look] -= 1
        later = tile.i_look + 1
        if later < len(self._waiting):
            look = self._strips.looks[later]
            self._waiting[later] += [i for i in tile.numbers if self._strips.wants(look, i)]
        for i_look in range(later, len(self._waiting)):
            self._fill(i_look)

    def _fill(self, i_look: int) -> None:
        """Makes tiles of the strips that wait for a look, all of them where no more will come."""
        look = self._strips.looks[i_look]
        tiles = self._strips.tiles_of(self._waiting[i_look], look)
        is_last = not any(self._n_open[:i_look]) and not any(self._waiting[:i_look])
        n_full = len(tiles) if is_last else max(0, len(tiles) - 1)
        self._ready += [ShownTile(i_look, look, rows) for rows in tiles[:n_full]]
        self._n_open[i_look] += n_full
        self._waiting[i_look] = sorted(i for rows in tiles[n_full:] for row in rows for i in row)
