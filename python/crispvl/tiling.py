"""Dynamic tiling: a page becomes a grid of square tiles, plus a thumbnail of the whole page.

The recipe is the one published on the InternVL model cards (``dynamic_preprocess`` and
``find_closest_aspect_ratio``): among all grids of at most ``max_tiles`` tiles take the one whose
aspect ratio is closest to the page's, resize the page to that grid with Pillow's bicubic filter,
and cut it up. Grids and bytes are equal to it for every size from 1×1 on; which sizes are worth
reading is not decided here but in `crispvl.inputs.images`.

Arrays are row-major: ``[n_tiles, height, width, 3]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.inputs.images import ImageLike, open_image
from crispvl.options import MOST_TILES

_FEWEST_FINE = 3
"""Tiles of a second grid."""


def choose_grid(
    width: int, height: int, max_tiles: int = 12, tile_px: int = 448, min_tiles: int = 1
) -> tuple[int, int]:
    """Returns the grid whose aspect ratio is closest to that of a page.

    Args:
        width: Page width in pixels.
        height: Page height in pixels.
        max_tiles: Most tiles the grid may have, the thumbnail not counted.
        tile_px: Edge of a tile in pixels; it decides between grids of the same aspect ratio.
        min_tiles: Fewest tiles the grid may have.

    Returns:
        ``(columns, rows)``.

    Raises:
        ValueError: A size is not positive, ``min_tiles`` exceeds ``max_tiles``, or this exceeds
            `MOST_TILES`.
    """
    if width < 1 or height < 1 or tile_px < 1:
        raise ValueError(
            f"[tiling] expected sizes of at least 1 px; found a page of {width}×{height} and "
            f"tiles of {tile_px}; pass the image's real size"
        )
    if not 1 <= min_tiles <= max_tiles <= MOST_TILES:
        raise ValueError(
            f"[tiling] expected 1 <= min_tiles <= max_tiles <= {MOST_TILES}; found "
            f"min_tiles={min_tiles} and max_tiles={max_tiles}; change them"
        )
    return _closest(width, height, tile_px, _candidate_grids(min_tiles, max_tiles))


def choose_second_grid(
    width: int, height: int, first: tuple[int, int], max_tiles: int = 12, tile_px: int = 448
) -> tuple[int, int]:
    """Returns the grid in which a page is cut once more, beside its first one (multi-scale).

    Of the grids of three tiles and more that have no edge in common with the first one, the
    closest; ``(1, 1)`` where there is none. Follows H2OVL-Mississippi's ``image_process.py``.

    Args:
        width: Page width in pixels.
        height: Page height in pixels.
        first: The grid of `choose_grid`.
        max_tiles: Most tiles of either grid, the thumbnail not counted.
        tile_px: Edge of a tile in pixels.
    """
    candidates = [
        (columns, rows)
        for columns, rows in _candidate_grids(_FEWEST_FINE, max_tiles)
        if first[0] % columns and first[1] % rows
    ]
    return _closest(width, height, tile_px, candidates)


def most_tiles(max_tiles: int, thumbnail: bool, multi_scale: bool) -> int:
    """Returns how many tiles a page of at most ``max_tiles`` can become, thumbnail included."""
    return (2 if multi_scale else 1) * max_tiles + (thumbnail and max_tiles > 1)


def _closest(
    width: int, height: int, tile_px: int, candidates: Sequence[tuple[int, int]]
) -> tuple[int, int]:
    aspect = width / height
    closest = float("inf")
    chosen = (1, 1)
    for columns, rows in candidates:
        distance = abs(aspect - columns / rows)
        # On a tie the larger grid wins where the page has pixels for at least half of it.
        fills_half = width * height > 0.5 * tile_px * tile_px * columns * rows
        if distance < closest or (distance == closest and fills_half):
            closest = distance
            chosen = (columns, rows)
    return chosen


def tile_image(
    image: ImageLike,
    tile_px: int = 448,
    max_tiles: int = 12,
    min_tiles: int = 1,
    thumbnail: bool = True,
    multi_scale: bool = False,
) -> NDArray[np.uint8]:
    """Cuts an image into tiles, rows first, with the thumbnail last.

    Args:
        image: Anything `crispvl.inputs.images.open_image` takes.
        tile_px: Edge of a tile in pixels.
        max_tiles: Most tiles, the thumbnail not counted.
        min_tiles: Fewest tiles.
        thumbnail: Whether to append the whole image as one more tile when there are several.
        multi_scale: Whether to cut it twice: the tiles of `choose_second_grid`, those of
            `choose_grid`, and the thumbnail, whatever ``thumbnail`` says. Where the second grid is
            one tile this is the thumbnail.

    Returns:
        uint8 RGB ``[n_tiles, tile_px, tile_px, 3]``, before normalisation.
    """
    page = open_image(image)
    grid = choose_grid(page.width, page.height, max_tiles, tile_px, min_tiles)
    if multi_scale:
        return cut_twice(page, grid, tile_px, max_tiles)
    return cut_tiles(page, grid, tile_px, thumbnail)


def cut_twice(
    page: Image.Image, grid: tuple[int, int], tile_px: int, max_tiles: int
) -> NDArray[np.uint8]:
    """Cuts an RGB page in `choose_second_grid` and in a grid, the thumbnail last (multi-scale)."""
    second = choose_second_grid(page.width, page.height, grid, max_tiles, tile_px)
    fine, coarse = (cut_tiles(page, g, tile_px, thumbnail=True) for g in (second, grid))
    return np.concatenate([fine[:-1], coarse[:-1], fine[-1:]])


def cut_tiles(
    page: Image.Image, grid: tuple[int, int], tile_px: int, thumbnail: bool
) -> NDArray[np.uint8]:
    """Cuts an RGB page into the tiles of a grid, as `tile_image` does."""
    columns, rows = grid
    n_tiles = columns * rows
    with_thumbnail = thumbnail and n_tiles > 1
    tiles = np.empty((n_tiles + with_thumbnail, tile_px, tile_px, 3), dtype=np.uint8)
    resized = np.asarray(_resize(page, columns * tile_px, rows * tile_px))
    tiles[:n_tiles] = (
        resized.reshape(rows, tile_px, columns, tile_px, 3)
        .swapaxes(1, 2)
        .reshape(n_tiles, tile_px, tile_px, 3)
    )
    if with_thumbnail:
        tiles[n_tiles] = np.asarray(_resize(page, tile_px, tile_px))
    return tiles


def _resize(page: Image.Image, width: int, height: int) -> Image.Image:
    return page.resize((width, height), Image.Resampling.BICUBIC)


@lru_cache(maxsize=64)
def _candidate_grids(min_tiles: int, max_tiles: int) -> tuple[tuple[int, int], ...]:
    """All grids of ``min_tiles`` to ``max_tiles`` tiles, smaller ones first.

    The published recipe sorts a set by area only, so grids of one area keep the set's order. With
    ``min_tiles=1`` that order never decides (no page is equally far from two grids of one area
    without being closer to a third); with a larger minimum it can, so the set is filled as there.
    """
    grids: set[tuple[int, int]] = set()
    for n in range(min_tiles, max_tiles + 1):
        # Of n tiles along a side at most; from the second n on only those that are new.
        for columns in range(1, n + 1):
            first = 1 if n == min_tiles or columns == n else n
            last = min(n, max_tiles // columns)
            grids.update(
                (columns, rows) for rows in range(first, last + 1) if columns * rows >= min_tiles
            )
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))
