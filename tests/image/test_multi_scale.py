"""H2OVL-Mississippi's multi-scale cropping against the published code (``tests/data``)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crispvl import _core
from crispvl.tiling import choose_grid, choose_second_grid, most_tiles, tile_image
from numpy.typing import NDArray
from PIL import Image

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "h2ovl_golden.json").read_text("utf-8"))
TILE_PX = GOLDEN["tile_px"]
PAGES = [
    pytest.param(p, id=f"{p['width']}x{p['height']}-{p['max_tiles']}") for p in GOLDEN["pages"]
]


def page(width: int, height: int) -> Image.Image:
    """As the script that made the golden draws it."""
    y, x = np.mgrid[:height, :width]
    channels = [(x * 7 + y * 3) % 256, (x * y) % 256, (x // 3 + y * 5) % 256]
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8))


def digest(tiles: NDArray[np.uint8]) -> str:
    return hashlib.sha256(np.ascontiguousarray(tiles).tobytes()).hexdigest()


@pytest.mark.parametrize("golden", PAGES)
def test_tiles_are_the_published_ones(golden: dict[str, Any]) -> None:
    image, most = page(golden["width"], golden["height"]), golden["max_tiles"]
    tiles = tile_image(image, TILE_PX, most, multi_scale=True)
    assert len(tiles) == golden["n_tiles"] <= most_tiles(most, thumbnail=True, multi_scale=True)
    assert digest(tiles) == golden["sha256"]


@pytest.mark.parametrize("golden", PAGES)
def test_the_core_cuts_the_same_tiles(golden: dict[str, Any]) -> None:
    pixels = np.asarray(page(golden["width"], golden["height"]))
    tiles = _core.tile_image(pixels, TILE_PX, golden["max_tiles"], multi_scale=True)
    assert digest(tiles) == golden["sha256"]


def test_the_second_grid_has_no_edge_of_the_first() -> None:
    for width in range(20, 2000, 97):
        first = choose_grid(width, 700, 12)
        columns, rows = choose_second_grid(width, 700, first, 12)
        assert (columns, rows) == (1, 1) or (first[0] % columns and first[1] % rows)
