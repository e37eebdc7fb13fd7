"""Dots that stand for grey become grey; whatever else is black and white keeps its edges."""

from __future__ import annotations

import numpy as np
import pytest
from crispvl.layout.legible import legible_channel
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont


def letters(paper: int, ink: int, size_px: int = 40) -> Image.Image:
    page = Image.new("L", (420, 160), paper)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size_px)
    draw.text((20, 10), "2 Coffee 7.00", fill=ink, font=font)
    draw.text((20, 80), "TOTAL 20.15", fill=ink, font=font)
    return page


def luma(page: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(page.convert("L"))


def black_and_white(page: Image.Image) -> Image.Image:
    return page.convert("1").convert("RGB")


@pytest.mark.parametrize(("paper", "ink"), [(255, 200), (255, 225), (0, 40), (0, 60)])
def test_dotted_letters_become_grey(paper: int, ink: int) -> None:
    smooth = legible_channel(black_and_white(letters(paper, ink)))
    drawn = np.asarray(letters(paper, ink)) == ink
    assert abs(float(smooth[drawn].mean()) - ink) < 12
    assert len(np.unique(smooth[drawn])) > 2


@pytest.mark.parametrize("size_px", [10, 16, 40])
@pytest.mark.parametrize(("paper", "ink"), [(255, 0), (0, 255), (220, 0), (60, 255)])
def test_letters_in_black_or_white_stay_as_they_are(paper: int, ink: int, size_px: int) -> None:
    page = black_and_white(letters(paper, ink, size_px))
    assert np.array_equal(legible_channel(page), luma(page))


def test_pages_of_many_levels_stay_as_they_are() -> None:
    page = letters(255, 215).convert("RGB")
    noise = np.random.default_rng(0).integers(-9, 1, (160, 420, 1))
    noisy = Image.fromarray((np.asarray(page) + noise).clip(0, 255).astype(np.uint8))
    assert np.array_equal(legible_channel(noisy), luma(noisy))


def test_dust_stays_dust() -> None:
    page = Image.new("RGB", (600, 600), "white")
    for x, y in np.random.default_rng(1).integers(0, 600, (300, 2)):
        page.putpixel((int(x), int(y)), (0, 0, 0))
    assert np.array_equal(legible_channel(page), luma(page))


def test_only_the_dotted_part_of_a_page_changes() -> None:
    page = Image.new("L", (420, 400), 255)
    page.paste(letters(255, 0), (0, 0))
    page.paste(letters(255, 215), (0, 240))
    page = black_and_white(page)
    smooth, before = legible_channel(page), luma(page)
    assert np.array_equal(smooth[:160], before[:160])
    assert not np.array_equal(smooth[240:], before[240:])
