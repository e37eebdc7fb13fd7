"""What is done to rendered pages before they are read, and pages without any text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Damage = Callable[[Image.Image], Image.Image]


def skewed(degrees: float) -> Damage:
    """Turns a page a little, counterclockwise."""
    return lambda page: page.rotate(
        degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=page.getpixel((0, 0))
    )


def lit_from_one_side(page: Image.Image) -> Image.Image:
    """Half as bright at the right edge as at the left."""
    light = np.linspace(1, 0.5, page.width, dtype=np.float32)
    return Image.fromarray((np.asarray(page, np.float32) * light).astype(np.uint8))


DAMAGES: dict[str, Damage] = {
    "turned 90": lambda page: page.transpose(Image.Transpose.ROTATE_90),
    "turned 180": lambda page: page.transpose(Image.Transpose.ROTATE_180),
    "turned 270": lambda page: page.transpose(Image.Transpose.ROTATE_270),
    "skewed +5": skewed(5),
    "skewed -5": skewed(-5),
    "lit from one side": lit_from_one_side,
    "inverse": lambda page: page.point(lambda value: 255 - value),
    "bilevel": lambda page: page.point(lambda value: 255 * (value > 128)),
}
OTHER_DPIS = 100, 600


def clouds(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Smooth shapes of all sizes, as in a photograph; 0 to 255."""
    total = np.zeros((height, width), np.float32)
    for grain in (4, 16, 64, 256):
        small = rng.random((max(2, height // grain), max(2, width // grain))) * 255
        grown = Image.fromarray(small.astype(np.uint8)).resize((width, height), Image.BICUBIC)
        total += grain * np.asarray(grown, np.float32)
    return (total - total.min()) / np.ptp(total) * 255


def photograph(rng: np.random.Generator) -> Image.Image:
    """Things with edges before a background out of focus."""
    page = Image.fromarray(clouds(rng, 1200, 900).astype(np.uint8))
    things = Image.fromarray(clouds(rng, 1200, 900).astype(np.uint8))
    masks = clouds(rng, 1200, 900) > 150
    page.paste(things, (0, 0), Image.fromarray((255 * masks).astype(np.uint8)))
    return page.filter(ImageFilter.GaussianBlur(0.8))


def blank(rng: np.random.Generator) -> Image.Image:
    """Paper with the noise of a scanner."""
    return Image.fromarray(rng.normal(246, 2.5, (1754, 1240)).clip(0, 255).astype(np.uint8))


def bar_code(rng: np.random.Generator) -> Image.Image:
    """Bars of one to four widths on a white page."""
    page = np.full((900, 1240), 255, np.uint8)
    bars = np.repeat(np.arange(90) % 2 == 0, rng.integers(1, 5, 90) * 3)
    page[300:520, 150 : 150 + len(bars)][:, bars] = 0
    return Image.fromarray(page)


def halftone(rng: np.random.Generator) -> Image.Image:
    """A photograph as a newspaper prints it: dots of different size at 45 degrees."""
    tone = np.asarray(photograph(rng), np.float32) / 255
    y, x = np.mgrid[: tone.shape[0], : tone.shape[1]] * (2 * np.pi / 8)
    screen = 0.5 + 0.25 * (np.cos((x + y) / 2**0.5) + np.cos((x - y) / 2**0.5))
    return Image.fromarray(np.where(tone > screen, 255, 0).astype(np.uint8))


TEXTLESS = {
    "photograph": photograph,
    "blank": blank,
    "bar code": bar_code,
    "halftone": halftone,
}
