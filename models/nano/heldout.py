"""Test pages by a generator of their own: other fonts, other layouts, other words than training's.

Fonts are the held-out families; layouts are a receipt with leading quantities, a terminal, a titled
paragraph, a letter and a price list, and of their own pages in other languages and structured ones;
the text is fixed vocabulary combined by seed, none of it from the training corpus's prose or code.
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
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


SCALE = 1.4  # page pixels per tile pixel


@dataclass(frozen=True)
class TestPage:
    """One page with its truth and what it tests."""

    image: Image.Image
    text: str
    font: str
    x_height_px: float  # at tile scale
    grid: tuple[int, int]
    task: str = "text"  # or "markdown"


Reading = tuple[str, "float | None"]  # text and confidence
Reader = Callable[[list[TestPage]], Iterator[Reading]]

LATIN_WORDS = """
    été déjà forêt garçon façade leçon où très âme naïf maître hôtel über schön Straße Bäume Mädchen
    größer Äpfel Öffnung Übung mañana niño corazón jardín música árbol canción água coração não avó
    irmã pão señora años København smørrebrød hår fjärde åtta björn Ærø garðurinn þorp Ísland
""".split()


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


class Sheet:
    """An empty test page with its font, margins and line step; ``x_height_px`` is at tile scale."""

    def __init__(self, rng: random.Random, grid: tuple[int, int]) -> None:
        width, height = (round(n * TILE_PX * SCALE) for n in grid)
        self.font, self.x_height_px = rng.choice(HELD_OUT_FONTS), rng.uniform(9, 14)
        self.style = face(self.font, self.em(1.0))
        papers = (("white", "black"), ("#f6f3ea", "#222222"), ("#20242c", "#e6e6e6"))
        self.paper, self.ink = rng.choice(papers)
        self.image = Image.new("RGB", (width, height), self.paper)
        self.draw = ImageDraw.Draw(self.image)
        self.margin = 0.04 * width
        self.y = rng.uniform(0.01, 0.06) * height
        self.step = (self.style.ascent + self.style.descent) * rng.uniform(1.0, 1.25)
        self.free = width - 2 * self.margin  # width of the text

    def em(self, factor: float) -> int:
        """Em size in page pixels of letters so many times as large as the body's."""
        return round(factor * self.x_height_px * SCALE / x_height_ratio(self.font))

    def has_room(self) -> bool:
        """Whether one more line fits."""
        return self.y + self.style.ascent + self.style.descent <= self.image.height

    def put(self, runs: list[tuple[float, str]]) -> None:
        """Writes a line of runs, each at its x from the margin."""
        for x, text in runs:
            self.draw.text((self.margin + x, self.y), text, self.ink, self.style.font)
        self.y += self.step

    def page(self, lines: list[str], grid: tuple[int, int], task: str = "text") -> TestPage:
        """The finished page with its truth."""
        text = "\n".join(lines).strip("\n")
        return TestPage(self.image, text, self.font, self.x_height_px, grid, task)


def draw_test_page(seed: int, grid: tuple[int, int] = (1, 1), photo: bool = False) -> TestPage:
    """Draws the test page of a seed.

    Args:
        seed: Chooses font, size, layout and text.
        grid: Tiles (columns, rows) the page is made for.
        photo: Adds blur, noise, uneven light and a slight rotation.
    """
    rng = random.Random(f"test {seed}")
    sheet, lines = Sheet(rng, grid), []
    for row in page_rows(rng, sheet.style, sheet.free):
        needed = sum(sheet.style.width(text + " ") for _, text in row)
        if needed > sheet.free + sheet.style.width(" "):
            continue
        if not sheet.has_room():
            break
        sheet.put([(share * (sheet.free - sheet.style.width(text)), text) for share, text in row])
        lines.append(" ".join(text for _, text in row))
    if photo:
        sheet.image = photographed(sheet.image, rng, sheet.paper)
    return sheet.page(lines, grid)


def draw_latin_page(seed: int, grid: tuple[int, int] = (1, 1)) -> TestPage:
    """Draws words of other languages, prices in € and £, degrees, dashes and curly quotes."""
    rng = random.Random(f"latin {seed}")
    sheet = Sheet(rng, grid)
    lines = []
    for _ in range(40):
        word, other = rng.choice(LATIN_WORDS), rng.choice(LATIN_WORDS)
        line = rng.choice(
            (
                f"{word} {other}",
                f"“{word}” – {other}",
                f"{word}: {rng.uniform(1, 99):.2f} €",
                f"£{rng.randint(1, 400)} {word}",
                f"{rng.randint(-9, 40)} °C {word}",
            )
        )
        if sheet.style.width(line) > sheet.free:
            continue
        if not sheet.has_room():
            break
        sheet.put([(0.0, line)])
        lines.append(line)
    return sheet.page(lines, grid)


def draw_markdown_page(seed: int, grid: tuple[int, int] = (1, 1)) -> TestPage:
    """Draws a title, then sections of sentences, points or a price table, in any order."""
    rng = random.Random(f"markdown {seed}")
    sheet, lines = Sheet(rng, grid), []
    body = sheet.style
    sheet.style = face(sheet.font, sheet.em(1.6))
    title = f"{rng.choice(PLACES).split()[-1].title()} {rng.choice(NOUNS)}"
    sheet.put([(0.0, title)])
    sheet.y += 0.6 * sheet.step
    sheet.style = body
    lines += [f"# {title}", ""]
    kinds = ["sentences", "points", "table"]
    for kind in rng.sample(kinds, 3):
        block = wrapped(body, sentence(rng), sheet.free)
        if kind == "points":
            block = [f"- {rng.choice(GOODS)}".replace("_", " ") for _ in range(rng.randint(2, 4))]
        columns, drawn = [0.0, 0.6 * sheet.free], [[text] for text in block]
        if kind == "table":
            prices = [
                [rng.choice(GOODS).replace("_", " "), f"{rng.uniform(1, 99):.2f}"] for _ in "abc"
            ]
            drawn = [["Dish", "Price"], *prices]
            block = [f"| {one} | {two} |" for one, two in drawn]
            block.insert(1, "|---|---|")
        if sheet.y + len(drawn) * sheet.step > sheet.image.height:
            break
        for cells in drawn:
            sheet.put(list(zip(columns, cells, strict=False)))
        lines += [*block, ""]
        sheet.y += 0.8 * sheet.step
    return sheet.page(lines, grid, "markdown")


def draw_blank_page(seed: int) -> TestPage:
    """An empty sheet, photographed."""
    rng = random.Random(f"blank {seed}")
    sheet = Sheet(rng, (1 + seed % 2, 1 + seed // 2 % 2))
    sheet.image = photographed(sheet.image, rng, sheet.paper)
    return sheet.page([], (1 + seed % 2, 1 + seed // 2 % 2))


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
