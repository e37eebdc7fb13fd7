"""InternVL's dynamic tiling rule, as the recipe needs it for its training pages.

Source: the ``dynamic_preprocess`` function on the OpenGVLab model cards.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

TILE_PX = 224
MAX_TILES = 6


@cache
def grids(max_tiles: int) -> list[tuple[int, int]]:
    """All grids (columns, rows) of up to ``max_tiles`` tiles, fewest tiles first."""
    found = {
        (i, j)
        for n in range(1, max_tiles + 1)
        for i in range(1, n + 1)
        for j in range(1, n + 1)
        if i * j <= n
    }
    return sorted(found, key=lambda grid: grid[0] * grid[1])


def covers_half(width: int, height: int, n_tiles: int) -> bool:
    """Whether an image has more than half the pixels of so many tiles."""
    return width * height > 0.5 * TILE_PX * TILE_PX * n_tiles


def closest_grid(width: int, height: int, max_tiles: int = MAX_TILES) -> tuple[int, int]:
    """The grid (columns, rows) whose aspect ratio is nearest to the image's.

    Of equally near grids a larger one wins where the image covers more than half its pixels.
    """
    best, best_distance = (1, 1), float("inf")
    for columns, rows in grids(max_tiles):
        distance = abs(width / height - columns / rows)
        if distance < best_distance:
            best, best_distance = (columns, rows), distance
        elif distance == best_distance and covers_half(width, height, columns * rows):
            best = (columns, rows)
    return best


def split(image: Image.Image, grid: tuple[int, int]) -> np.ndarray:
    """Cuts a page into its tiles, the thumbnail last when there is more than one.

    Returns:
        uint8 ``[n_tiles, TILE_PX, TILE_PX, 3]``, row by row.
    """
    columns, rows = grid
    size = (columns * TILE_PX, rows * TILE_PX)
    page = np.asarray(image.resize(size, Image.Resampling.BICUBIC))
    tiles = page.reshape(rows, TILE_PX, columns, TILE_PX, 3).swapaxes(1, 2)
    tiles = tiles.reshape(-1, TILE_PX, TILE_PX, 3)
    if len(tiles) > 1:
        thumbnail = image.resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC)
        tiles = np.concatenate([tiles, np.asarray(thumbnail)[None]])
    return tiles
