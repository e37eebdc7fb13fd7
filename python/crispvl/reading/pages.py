"""One page on its way to the model: cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crispvl.layout.regions import find_regions
from crispvl.model_config import ModelConfig
from crispvl.options import ReadOptions, check_tiles
from crispvl.results.lines import Rectangle
from crispvl.tiling import choose_grid, cut_tiles, cut_twice

if TYPE_CHECKING:
    from crispvl._core import Layout


@dataclass(frozen=True, kw_only=True)
class PreparedPage:
    """An image cut into tiles, uint8 ``[n_tiles, px, px, 3]``."""

    grid: tuple[int, int]
    tiles: NDArray[np.uint8]


def tile_limits(config: ModelConfig, options: ReadOptions) -> tuple[int, int]:
    """Returns the fewest and the most tiles of an image, the model's where the options name none.

    Raises:
        ValueError: The fewest are more than the most.
    """
    rule = config.image
    max_tiles = options.max_tiles or rule.max_tiles
    min_tiles = options.min_tiles or min(rule.min_tiles, max_tiles)
    check_tiles(min_tiles, max_tiles)
    return min_tiles, max_tiles


def fill_grid(page: Image.Image, config: ModelConfig, options: ReadOptions) -> Image.Image:
    """Returns a picture with white to its right or below, so that its tiles do not distort it."""
    min_tiles, max_tiles = tile_limits(config, options)
    tile_px = int(config.vision.tile_px)
    columns, rows = choose_grid(page.width, page.height, max_tiles, tile_px, min_tiles)
    width = max(page.width, round(page.height * columns / rows))
    height = max(page.height, round(page.width * rows / columns))
    filled = Image.new("RGB", (width, height), "white")
    filled.paste(page, (0, 0))
    return filled


def is_legible(layout: Layout, config: ModelConfig, options: ReadOptions) -> bool:
    """Returns whether a page's print is large enough on the tiles of the whole page."""
    from crispvl._core import is_legible as is_large_enough

    min_tiles, max_tiles = tile_limits(config, options)
    return is_large_enough(layout, int(config.vision.tile_px), max_tiles, min_tiles)


def page_regions(layout: Layout, config: ModelConfig, options: ReadOptions) -> list[Rectangle]:
    """Returns the parts of a page that are shown by themselves, in reading order."""
    min_tiles, max_tiles = tile_limits(config, options)
    return find_regions(layout, int(config.vision.tile_px), max_tiles, min_tiles)


def prepare_page(
    page: Image.Image, config: ModelConfig, options: ReadOptions, *, alone: bool = True
) -> PreparedPage:
    """Cuts an RGB image as the model was trained, or as the options say.

    ``alone``: it is the only image of its prompt. Multi-scale models cut no other one twice.
    """
    tile_px, rule = config.vision.tile_px, config.image
    min_tiles, max_tiles = tile_limits(config, options)
    grid = choose_grid(page.width, page.height, max_tiles, tile_px, min_tiles)
    if alone and rule.multi_scale:
        return PreparedPage(grid=grid, tiles=cut_twice(page, grid, tile_px, max_tiles))
    return PreparedPage(grid=grid, tiles=cut_tiles(page, grid, tile_px, rule.thumbnail))
