"""Grid and bytes are those of the published recipe, for every size."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from crispvl.tiling import choose_grid, tile_image
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL import __version__ as pillow_version


def recipe_grid(width: int, height: int, most: int, edge: int, fewest: int = 1) -> tuple[int, int]:
    """The model card's recipe once more, as literally as words allow."""
    shapes = set()
    for limit in range(fewest, most + 1):
        for across in range(1, limit + 1):
            for down in range(1, limit + 1):
                if fewest <= across * down <= most:
                    shapes.add((across, down))
    best, best_difference = (1, 1), float("inf")
    for across, down in sorted(shapes, key=lambda shape: shape[0] * shape[1]):
        difference = abs(width / height - across / down)
        if difference < best_difference:
            best, best_difference = (across, down), difference
        elif difference == best_difference and width * height > 0.5 * edge * edge * across * down:
            best = (across, down)
    return best


def recipe_tiles(image: Image.Image, most: int, edge: int) -> list[bytes]:
    across, down = recipe_grid(*image.size, most, edge)
    canvas = image.resize((edge * across, edge * down))
    pieces = []
    for i in range(across * down):
        left, top = i % across * edge, i // across * edge
        pieces.append(canvas.crop((left, top, left + edge, top + edge)))
    if len(pieces) > 1:
        pieces.append(image.resize((edge, edge)))
    return [piece.tobytes() for piece in pieces]


def sizes(n: int) -> list[tuple[int, int]]:
    """Sizes from 1×1 to 6000×6000, small and thin ones as often as large ones."""
    rng = random.Random(20251120)
    even = [(rng.randint(1, 6000), rng.randint(1, 6000)) for _ in range(n // 2)]
    skewed = [
        (round(6000 ** rng.random()), round(6000 ** rng.random())) for _ in range(n - len(even))
    ]
    return [(1, 1), (6000, 6000), (1, 6000), (6000, 1), *even, *skewed]


def test_grid_equals_the_recipe_on_a_thousand_sizes() -> None:
    for width, height in sizes(1000):
        for most in (1, 6, 12):
            expected = recipe_grid(width, height, most, 448)
            assert choose_grid(width, height, most) == expected, (width, height, most)


@settings(deadline=None)
@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.integers(1, 24),
    st.integers(1, 24),
    st.sampled_from([14, 112, 224, 448]),
)
def test_grid_equals_the_recipe_for_any_limits(
    width: int, height: int, limit: int, other_limit: int, edge: int
) -> None:
    fewest, most = sorted((limit, other_limit))
    expected = recipe_grid(width, height, most, edge, fewest)
    assert choose_grid(width, height, most, edge, fewest) == expected


def test_tiles_equal_the_recipe_byte_for_byte_on_a_hundred_and_fifty_sizes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (6000, 6000), dtype=np.uint8)
    source = Image.fromarray(noise)
    for i, (width, height) in enumerate(sizes(150)):
        edge = (14, 28, 56)[i % 3]
        image = source.crop((0, 0, width, height)).convert("RGB")
        tiles = tile_image(image, tile_px=edge, max_tiles=12)
        assert [tile.tobytes() for tile in tiles] == recipe_tiles(image, 12, edge), image.size


def test_a_full_size_page_equals_the_recipe_byte_for_byte() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1754, 1240, 3), dtype=np.uint8)
    tiles = tile_image(noise)
    assert tiles.shape == (7, 448, 448, 3)
    assert [tile.tobytes() for tile in tiles] == recipe_tiles(Image.fromarray(noise), 12, 448)


def test_tiles_of_the_goldens(goldens: Callable[[], Iterator[Path]]) -> None:
    if int(pillow_version.split(".")[0]) < 13:
        pytest.skip("the goldens were made with Pillow 13, whose resize differs in the last bit")
    for folder in goldens():
        expected = json.loads((folder / "expected.json").read_text())
        edge, most = expected["tile_px"], expected["max_tiles"]
        with Image.open(folder / "image.png") as image:
            assert list(choose_grid(*image.size, most, edge)) == expected["grid"], folder.name
        tiles = tile_image(folder / "image.png", edge, most)
        assert np.array_equal(tiles, np.load(folder / "expected.npz")["tiles"]), folder.name


def test_thumbnail_comes_last_and_only_with_several_tiles() -> None:
    image = Image.new("RGB", (200, 100), "red")
    assert tile_image(image, 28, max_tiles=2).shape[0] == 3
    assert tile_image(image, 28, max_tiles=2, thumbnail=False).shape[0] == 2
    assert tile_image(image, 28, max_tiles=1).shape[0] == 1


@pytest.mark.parametrize(
    ("width", "height", "limits"),
    [(0, 5, {}), (5, -1, {}), (5, 5, {"min_tiles": 3, "max_tiles": 2}), (5, 5, {"max_tiles": 0})],
)
def test_impossible_sizes_and_limits_are_refused(
    width: int, height: int, limits: dict[str, int]
) -> None:
    with pytest.raises(ValueError, match=r"^\[tiling\] expected .*; found"):
        choose_grid(width, height, **limits)
