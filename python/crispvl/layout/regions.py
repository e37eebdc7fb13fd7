"""A page cut at its white space, as far as its print needs to be seen larger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crispvl.results.lines import Rectangle

if TYPE_CHECKING:
    from crispvl._core import Layout


def find_regions(
    layout: Layout, tile_px: int, max_tiles: int, min_tiles: int = 1
) -> list[Rectangle]:
    """Returns the parts of a page that are shown by themselves, in reading order.

    The rule is in ``csrc/layout/regions.h``.

    Args:
        layout: Of the page.
        tile_px: Edge of a tile.
        max_tiles: Most tiles of a part.
        min_tiles: Fewest tiles of a part.
    """
    from crispvl._core import find_regions as find

    return [Rectangle(*box) for box in find(layout, tile_px, max_tiles, min_tiles)]
