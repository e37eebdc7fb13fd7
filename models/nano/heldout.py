"""Test pages by a generator of their own: other fonts, other layouts, other words than training's.

Fonts are the held-out families; layouts are a receipt with leading quantities, a terminal, a titled
paragraph, a letter and a price list; the text is fixed vocabulary combined by seed, none of it from
the training corpus's prose or code.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fonts import HELD_OUT_FONTS, Face, face, x_height_ratio
from tiling import TILE_PX

NOUNS = """
    river garden window morning teacher market bridge kitchen letter summer winter village
    engine doctor picture table forest harbor island castle farmer painter singer captain
    neighbor bicycle
""".split()
VERBS = """
    opened watched crossed painted carried found followed painted visited remembered closed
    described measured repaired borrowed ordered noticed planted
""".split()
PLACES = (
    "near the station",
    "behind the old mill",
    "in the afternoon",
    "before breakfast",
    "across the valley",
    "under a clear sky",
    "at the end of May",
    "with great care",
    "for the first time",
    "without a word",
)
GOODS = """
    Espresso Croissant Omelette Lemonade Pancakes Brownie Porridge Smoothie Waffle Cappuccino
    Risotto Lasagne Baguette Mineral_Water Green_Tea Apple_Pie
""".split()
COMMANDS = (
    "$ ls -la /var/log",
    "$ git commit -m 'fix'",
    "$ cd ~/projects",
    "$ cat notes.txt",
    "$ make test",
    "$ python run.py",
    "> SELECT name FROM users;",
    "> exit",
    "error: file not found",
    "Done in 4.2s",
    "[ok] 12 passed, 0 failed",
    "x = (a + b) * 2",
    "if (n > 10) {",
    "return false;",
    "}",
    "# build 318",
    "drwxr-xr-x 2 root",
    "127.0.0.1 localhost",
    "version 2.14.0",
    "PATH=/usr/bin",
)


@dataclass(frozen=True)
class TestPage:
    """One page with its truth and what it tests."""

    image: Image.Image
    text: str
    font: str
    x_height_px: float  # at tile scale
    grid: tuple[int, int]


def sentence(rng: random.Random) -> str:
    """A plain English sentence."""
    one, two = rng.choice(NOUNS), rng.choice(NOUNS)
    text = f"The {one} {rng.choice(VERBS)} the {two} {rng.choice(PLACES)}"
    return text + rng.choice((".", ".", ".", "!", "?"))


def wrapped(style: Face, text: str, width: float) -> list[str]:
    """Breaks a text into lines that fit the width."""
    lines, line = [], ""
    for word in text.split():
        longer = f"{line} {word}".strip()
        if line and style.width(longer) > width:
            lines.append(line)
            longer = word
        line = longer
    return [*lines, line]


def page_rows(rng: random.Random, style: Face, width: float) -> list[list[tuple[float, str]]]:
    """Rows of runs (share of the free width to the left, text) of one of the layouts."""
    kind = rng.choice(("receipt", "terminal", "paragraph", "letter", "prices"))
    if kind == "receipt":
        rows = [[(0.5, rng.choice(GOODS).upper().replace("_", " "))]]
        for _ in range(40):
            good = rng.choice(GOODS).replace("_", " ")
            rows.append([(0.0, f"{rng.randint(1, 9)} {good}"), (1.0, f"{rng.uniform(1, 99):.2f}")])
        return rows
    if kind == "terminal":
        return [[(0.0, rng.choice(COMMANDS))] for _ in range(40)]
    if kind == "prices":
        return [
            [(0.0, rng.choice(GOODS).replace("_", " ")), (1.0, f"${rng.uniform(0, 40):.2f}")]
            for _ in range(40)
        ]
    text = " ".join(sentence(rng) for _ in range(20))
    rows = [[(0.0, line)] for line in wrapped(style, text, width)]
    if kind == "paragraph":
        return [[(0.0, f"A {rng.choice(NOUNS).title()}")], *rows]
    greeting = f"Dear {rng.choice(('Ms', 'Mr', 'Dr'))} {rng.choice(NOUNS).title()},"
    return [[(0.0, greeting)], *rows]


def draw_test_page(seed: int, grid: tuple[int, int] = (1, 1), photo: bool = False) -> TestPage:
    """Draws the test page of a seed.

    Args:
        seed: Chooses font, size, layout and text.
        grid: Tiles (columns, rows) the page is made for.
        photo: Adds blur, noise, uneven light and a slight rotation.
    """
    rng = random.Random(f"test {seed}")
    scale = 1.4  # page pixels per tile pixel
    width, height = (round(n * TILE_PX * scale) for n in grid)
    name, x_height = rng.choice(HELD_OUT_FONTS), rng.uniform(9, 14)
    style = face(name, round(x_height * scale / x_height_ratio(name)))
    paper, ink = rng.choice((("white", "black"), ("#f6f3ea", "#222222"), ("#20242c", "#e6e6e6")))
    image = Image.new("RGB", (width, height), paper)
    draw = ImageDraw.Draw(image)
    margin = 0.04 * width
    y, lines = rng.uniform(0.01, 0.06) * height, []
    step = (style.ascent + style.descent) * rng.uniform(1.0, 1.25)
    free = width - 2 * margin
    for row in page_rows(rng, style, free):
        needed = sum(style.width(text + " ") for _, text in row)
        if needed > free + style.width(" "):
            continue
        if y + style.ascent + style.descent > height:
            break
        for share, text in row:
            draw.text((margin + share * (free - style.width(text)), y), text, ink, style.font)
        lines.append(" ".join(text for _, text in row))
        y += step
    if photo:
        image = photographed(image, rng, paper)
    return TestPage(image, "\n".join(lines), name, x_height, grid)


def photographed(image: Image.Image, rng: random.Random, paper: str) -> Image.Image:
    """A crooked, noisy, softly focused picture of a page."""
    image = image.rotate(rng.uniform(-1.5, 1.5), Image.Resampling.BICUBIC, fillcolor=paper)
    image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 1.2)))
    light = np.linspace(1, rng.uniform(0.75, 1), image.width)
    pixels = np.asarray(image, np.float32) * light[:, None]
    noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(3, 10), pixels.shape)
    image = Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.randint(60, 90))
    return Image.open(buffer).convert("RGB")
