"""Blank pages are told from pages with next to nothing on them, whatever the paper is like."""

from __future__ import annotations

import numpy as np
import pytest
from crispvl.inputs.ink import is_blank
from PIL import Image, ImageDraw, ImageFont

A4 = (1654, 2339)  # 200 dpi


def page(color: int = 255, size: tuple[int, int] = A4) -> Image.Image:
    return Image.new("RGB", size, (color, color, color))


def noisy(image: Image.Image, sigma: float) -> Image.Image:
    noise = np.random.default_rng(0).normal(0, sigma, (image.height, image.width, 1))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


def lit(image: Image.Image) -> Image.Image:
    """Darkens a page towards one corner, as a lamp does."""
    x, y = np.meshgrid(np.linspace(0, 1, image.width), np.linspace(0, 1, image.height))
    return Image.fromarray((np.asarray(image) * (1 - 0.4 * x * y)[..., None]).astype(np.uint8))


@pytest.mark.parametrize("color", [255, 200, 128, 0])
def test_paper_of_any_colour_is_blank(color: int) -> None:
    assert is_blank(page(color))
    assert is_blank(page(color, (60, 28)))


def test_noise_shade_and_dust_are_no_ink() -> None:
    assert is_blank(noisy(page(240), 10))
    assert is_blank(noisy(lit(page(240)), 6))
    dusty = page()
    for x, y in np.random.default_rng(1).integers(0, A4[0], (40, 2)):
        dusty.putpixel((int(x), int(y)), (0, 0, 0))
    assert is_blank(dusty)


@pytest.mark.parametrize("text", ["7", "- 3 -", "This page is intentionally left blank"])
@pytest.mark.parametrize("grey", [0, 150, 200])
def test_the_shortest_text_is_ink(text: str, grey: int) -> None:
    image = page()
    draw = ImageDraw.Draw(image)
    draw.text((800, 2200), text, fill=(grey,) * 3, font=ImageFont.load_default(32))
    assert not is_blank(image)
    assert not is_blank(noisy(lit(image), 3))


@pytest.mark.parametrize("text", ["1", "7", "i", "-1-"])
@pytest.mark.parametrize("points", [8, 10, 12])
def test_a_page_number_in_small_print_is_ink(text: str, points: int) -> None:
    for x in (800, 800.3, 800.6):  # strokes fall between the pixels in every way
        image = page()
        font = ImageFont.load_default(points * 200 / 72)
        ImageDraw.Draw(image).text((x, 2200), text, fill="black", font=font)
        assert not is_blank(image), x


def test_light_grey_print_is_ink() -> None:
    image = page(size=(2480, 3508))  # A4 at 300 dpi
    font = ImageFont.load_default(8 * 300 / 72)
    ImageDraw.Draw(image).text((300, 300), "faint small print", fill=(215,) * 3, font=font)
    assert not is_blank(image)


@pytest.mark.parametrize(
    ("ground", "ink"),
    [("#00ff00", "#ff00ff"), ("#008000", "#ff0000"), ("#0000ff", "#ff0000"), ("white", "#ffff00"),
     ("#808080", "#7f7fff")],
)  # fmt: skip
def test_ink_may_be_as_light_as_its_paper(ground: str, ink: str) -> None:
    image = Image.new("RGB", (400, 120), ground)
    ImageDraw.Draw(image).text((20, 30), "TOTAL", fill=ink, font=ImageFont.load_default(40))
    assert not is_blank(image)
    assert is_blank(Image.new("RGB", (400, 120), ground))
    assert is_blank(noisy(Image.new("RGB", A4, ground), 8))


@pytest.mark.parametrize("grey", [160, 200, 220])
@pytest.mark.parametrize(("size", "points"), [(A4, 12), (A4, 20), ((360, 190), 10)])
def test_light_letters_dithered_to_one_bit_are_ink_and_dust_is_none(
    grey: int, size: tuple[int, int], points: int
) -> None:
    image = Image.new("L", size, 255)
    font = ImageFont.load_default(points * 200 / 72)
    ImageDraw.Draw(image).text((20, 20), "CORNER SHOP\nTotal 12.50", fill=grey, font=font)
    assert not is_blank(image.convert("1").convert("RGB"))
    specks = np.random.default_rng(2).random((size[1], size[0])) < 0.002
    assert is_blank(Image.fromarray(np.where(specks, 0, 255).astype(np.uint8)))


def test_white_on_black_and_small_images_are_ink() -> None:
    dark = page(0)
    ImageDraw.Draw(dark).text((100, 100), "7", fill="white", font=ImageFont.load_default(32))
    assert not is_blank(dark)
    small = page(255, (40, 16))
    ImageDraw.Draw(small).text((2, 2), "7", fill="black")
    assert not is_blank(small)


def test_photographs_are_ink() -> None:
    x = np.linspace(0, 20, 640)
    waves = (127 + 100 * np.sin(x)[None, :] * np.cos(x)[:480, None]).astype(np.uint8)
    assert not is_blank(Image.fromarray(waves))
