"""The core's grid, bicubic filter and compositing against Python's, byte for byte."""

from __future__ import annotations

import random

import numpy as np
import pytest
from crispvl import _core, tiling
from crispvl.inputs.transparency import on_ground
from crispvl.tiling import choose_grid, tile_image
from PIL import Image
from PIL import __version__ as pillow_version

CHANNELS = {"L": (), "RGB": (3,), "RGBA": (4,)}


@pytest.fixture(autouse=True)
def _order_of_pillow_13(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before Pillow 13 columns always came first; there, its order is asked for in two calls."""
    if int(pillow_version.split(".")[0]) < 13:
        monkeypatch.setattr(tiling, "_resize", resize_in_order)


def resize_in_order(page: Image.Image, width: int, height: int) -> Image.Image:
    rows_first = height < page.height and page.height - height > 2 * (page.width - width)
    between = (page.width, height) if rows_first else (width, page.height)
    for size in (between, (width, height)):
        page = page.resize(size, Image.Resampling.BICUBIC)
    return page


def test_the_order_of_the_passes_is_pillows() -> None:
    rng = np.random.default_rng(9)
    for _ in range(500):
        sizes = [int(2 ** rng.uniform(0, 7)) for _ in range(4)]
        page = Image.fromarray(random_pixels(rng, sizes[0], sizes[1], "RGB"))
        found, expected = (f(page, *sizes[2:]) for f in (tiling._resize, resize_in_order))
        np.testing.assert_array_equal(np.asarray(found), np.asarray(expected), str(sizes))


def opaque(pixels: np.ndarray) -> Image.Image:
    """What Pillow makes of pixels; transparent ones are put on the ground that shows them."""
    page = Image.fromarray(pixels)
    return on_ground(page) if page.mode == "RGBA" else page.convert("RGB")


def random_pixels(rng: np.random.Generator, width: int, height: int, mode: str) -> np.ndarray:
    """Noise, flat areas or ramps: rounding and clipping each have their own worst case."""
    shape = (height, width, *CHANNELS[mode])
    kind = rng.integers(3)
    if kind == 0:
        return rng.integers(0, 256, shape, dtype=np.uint8)
    if kind == 1:
        return np.where(rng.random(shape) < 0.5, 0, 255).astype(np.uint8)
    ramp = np.arange(np.prod(shape)) // int(rng.integers(1, 9))
    return (ramp % 256).astype(np.uint8).reshape(shape)


@pytest.mark.parametrize("block", range(8))
def test_tiles_are_pillows_bytes_for_random_sizes_and_modes(block: int) -> None:
    rng = np.random.default_rng(block)
    for _ in range(250):
        width, height = (int(2 ** rng.uniform(0, 10)) for _ in range(2))
        mode = ("L", "RGB", "RGBA")[rng.integers(3)]
        tile_px = int(rng.choice([14, 28, 56, 112, 224]))
        max_tiles = int(rng.integers(1, 13))
        thumbnail = bool(rng.integers(2))
        pixels = random_pixels(rng, width, height, mode)
        found = _core.tile_image(pixels, tile_px, max_tiles, 1, thumbnail)
        expected = tile_image(opaque(pixels), tile_px, max_tiles, 1, thumbnail)
        np.testing.assert_array_equal(found, expected, f"{width}x{height} {mode} {tile_px=}")


def test_tiles_are_pillows_bytes_for_a_page_at_full_size() -> None:
    rng = np.random.default_rng(8)
    for width, height in ((2480, 3508), (448, 448), (896, 448), (448, 900), (1, 3000), (3000, 1)):
        pixels = random_pixels(rng, width, height, "RGB")
        np.testing.assert_array_equal(_core.tile_image(pixels), tile_image(pixels))


def test_every_value_at_every_alpha_is_composited_as_pillow_does_it() -> None:
    value, alpha = np.meshgrid(np.arange(256), np.arange(256))
    pixels = np.stack([value, 255 - value, value ^ 0x55, alpha], axis=-1).astype(np.uint8)
    # As large as a tile, so that nothing is resized.
    found = _core.tile_image(pixels, tile_px=256)[0]
    np.testing.assert_array_equal(found, np.asarray(opaque(pixels)))


def test_grids_are_those_of_the_reference() -> None:
    random.seed(0)
    sizes = [(random.randint(1, 4000), random.randint(1, 4000)) for _ in range(3000)]
    sizes += [(w, h) for w in range(1, 40) for h in range(1, 40)]
    for width, height in sizes:
        for tile_px, max_tiles in ((448, 12), (16, 12), (448, 6), (8, 40)):
            arguments = (width, height, max_tiles, tile_px)
            assert _core.choose_grid(*arguments) == choose_grid(*arguments), arguments


@pytest.mark.parametrize("minimum", [2, 3, 5, 12])
def test_grids_with_a_minimum_differ_from_the_reference_in_exact_ties_only(minimum: int) -> None:
    for width in range(100, 4000, 37):
        for height in range(100, 4000, 41):
            found = _core.choose_grid(width, height, 12, 448, minimum)
            expected = choose_grid(width, height, 12, 448, minimum)
            if found != expected:
                aspect = width / height
                assert found[0] * found[1] == expected[0] * expected[1]
                assert abs(aspect - found[0] / found[1]) == abs(aspect - expected[0] / expected[1])


def test_pixels_of_another_shape_are_refused() -> None:
    for shape in ((0, 4), (4, 4, 2), (4,), (1, 4, 4, 3)):
        with pytest.raises(ValueError, match=r"\[image\] expected \[height, width\]"):
            _core.tile_image(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match=r"\[tiling\] expected 1 <= min_tiles"):
        _core.tile_image(np.zeros((9, 9), np.uint8), min_tiles=3, max_tiles=2)
    with pytest.raises(ValueError, match=r"\[tiling\] expected a page"):
        _core.tile_image(np.zeros((9, 9), np.uint8), tile_px=0)


def test_large_images_shrink_to_pillows_bytes() -> None:
    image = Image.effect_mandelbrot((3001, 1999), (-2, -1.5, 1, 1.5), 60).convert("RGB")
    pixels = np.asarray(image)
    np.testing.assert_array_equal(_core.tile_image(pixels, 448, 1), tile_image(image, 448, 1))
