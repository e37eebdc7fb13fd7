"""Pages and pictures without any text: nothing is found, so nothing can be invented."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from crispvl import _core
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 1600, 1200


def clouds(grain: int, seed: int) -> NDArray[np.float64]:
    """Smooth random values in 0..255, ``grain`` px wide."""
    shape = max(2, HEIGHT // grain), max(2, WIDTH // grain)
    values = (np.random.default_rng(seed).random(shape) * 255).astype(np.uint8)
    picture = Image.fromarray(values).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float64)


def photograph() -> NDArray[np.float64]:
    return 0.5 * clouds(400, 1) + 0.35 * clouds(120, 2) + 0.15 * clouds(30, 3)


def scanned_blank() -> NDArray[np.float64]:
    return 235 + np.random.default_rng(4).normal(0, 6, (HEIGHT, WIDTH))


def dithered() -> NDArray[np.float64]:
    grey = Image.fromarray(photograph().astype(np.uint8))
    return np.asarray(grey.convert("1"), np.float64) * 255


def qr_code() -> NDArray[np.float64]:
    page = np.full((HEIGHT, WIDTH), 255.0)
    modules = np.random.default_rng(5).integers(0, 2, (30, 30)) * 255
    page[200:800, 200:800] = np.kron(modules, np.ones((20, 20)))
    return page


def bar_code() -> NDArray[np.float64]:
    page = np.full((HEIGHT, WIDTH), 255.0)
    widths = np.random.default_rng(6).integers(1, 4, 140) * 3
    bars = np.repeat(np.arange(140) % 2 * 255, widths)
    page[300:520, 150 : 150 + len(bars)] = bars
    return page


@pytest.mark.parametrize("make", [scanned_blank, photograph, dithered, qr_code, bar_code])
def test_a_picture_without_text_has_no_lines(make: Callable[[], NDArray[np.float64]]) -> None:
    pixels = make().clip(0, 255).astype(np.uint8)
    assert _core.find_layout(pixels).lines == []
