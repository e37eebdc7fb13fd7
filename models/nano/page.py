"""A page under construction: picture, truth and the place of every character."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from corpus import CHAR_CLASS
from fonts import Face, face, x_height_ratio
from tiling import TILE_PX

Color = tuple[int, int, int]


@dataclass
class Page:
    """A page under construction; coordinates in pixels from the top left."""

    width: int
    height: int
    background: Color
    ink: Color
    rng: random.Random
    markdown: bool = False  # whether the truth is written with Markdown's marks
    lines: list[str] = field(default_factory=list)
    boxes: list[tuple[int, float, float, float, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = Image.new("RGB", (self.width, self.height), self.background)
        self.draw = ImageDraw.Draw(self.image)

    def write(self, x: float, y: float, text: str, style: Face, ink: Color | None = None) -> None:
        """Draws one run with its ascender line at ``y`` and remembers its characters."""
        self.draw.text((x, y), text, font=style.font, fill=ink or self.ink)
        top = y + style.ascent - 1.45 * style.x_height
        bottom = y + style.ascent + 0.5 * style.descent
        edges = style.edges(text)
        for char, left, right in zip(text, edges, edges[1:], strict=False):
            if char != " ":
                self.boxes.append((CHAR_CLASS[char], x + left, top, x + right, bottom))

    def end_line(self, text: str, markup: str | None = None) -> None:
        """Adds a line to the truth; runs of spaces are layout, not text.

        Args:
            text: What a plain reading says.
            markup: What a Markdown reading says, where that differs.
        """
        truth = text if markup is None or not self.markdown else markup
        self.lines.append(" ".join(truth.split()))

    def end_block(self) -> None:
        """Ends a block; Markdown leaves an empty line before the next."""
        if self.markdown and self.lines and self.lines[-1]:
            self.lines.append("")

    @property
    def text(self) -> str:
        """The truth."""
        return "\n".join(self.lines).strip("\n")


def colors(rng: random.Random) -> tuple[Color, Color]:
    """Background and ink: mostly dark on light, sometimes inverse, often faintly tinted."""
    if rng.random() < 0.3:
        return (255, 255, 255), (0, 0, 0)
    ground, ink = rng.randint(205, 255), rng.randint(0, 100)
    if rng.random() < 0.15:
        ground, ink = rng.randint(0, 60), rng.randint(170, 255)

    def tint(value: int) -> Color:
        r, g, b = (max(0, min(255, value + rng.randint(-16, 16))) for _ in range(3))
        return r, g, b

    return tint(ground), tint(ink)


def page_size(rng: random.Random, grid: tuple[int, int]) -> tuple[int, int]:
    """A page that ``grid`` tiles hold, some squeezed; a single tile takes pages far from square."""
    columns, rows = grid
    scale = rng.uniform(0.85, 1.5)
    spread = 0.5 if columns * rows == 1 else 0.25
    stretch = math.exp(rng.uniform(-spread, spread) / 2)
    return round(columns * TILE_PX * scale * stretch), round(rows * TILE_PX * scale / stretch)


def x_height(rng: random.Random, n_tiles: int) -> float:
    """x-height in pixels at tile scale: small print prevails, with a tail of large letters."""
    if rng.random() < 0.05:
        return rng.uniform(16, 40)
    return 8.5 + 8.0 * rng.random() ** 1.7 + (0.4 if n_tiles > 1 else 0.0)


def pick_face(rng: random.Random, names: tuple[str, ...], x_height_px: float) -> Face:
    """A random face of about this x-height."""
    name = rng.choice(names)
    return face(name, max(8, round(x_height_px / x_height_ratio(name))))
