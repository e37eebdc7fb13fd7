"""One page on its way to the model: checked, and cut into tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.images import check_readable
from crispvl.options import ReadOptions
from crispvl.tiling import choose_grid, tile_image


@dataclass(frozen=True, kw_only=True)
class PreparedPage:
    """An image cut into tiles, uint8 ``[n_tiles, px, px, 3]``."""

    width_px: int
    height_px: int
    grid: tuple[int, int]
    tiles: NDArray[np.uint8]


def prepare_page(
    page: Image.Image, name: str, config: Mapping[str, Mapping[str, Any]], options: ReadOptions
) -> PreparedPage:
    """Cuts an RGB image as the model was trained, or as the options say.

    Raises:
        ImageError: It is too small or thin to hold text.
    """
    check_readable(page, name)
    rule = config["image"]
    tile_px = config["vision"]["tile_px"]
    max_tiles = options.max_tiles or rule["max_tiles"]
    min_tiles = options.min_tiles or min(rule["min_tiles"], max_tiles)
    return PreparedPage(
        width_px=page.width,
        height_px=page.height,
        grid=choose_grid(page.width, page.height, max_tiles, tile_px, min_tiles),
        tiles=tile_image(page, tile_px, max_tiles, min_tiles, rule["thumbnail"]),
    )
