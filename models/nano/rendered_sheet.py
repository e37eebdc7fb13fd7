"""A sheet of paper that remembers what is printed on it, and where."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

from fonts import Face, face
from heldout import wrapped

Box = tuple[float, float, float, float]  # of ink: left, top, right, bottom in px


@dataclass(frozen=True)
class Printed:
    """A piece of text on one line without a gap wider than between words."""

    text: str
    box: Box
    words: tuple[Box, ...]


@dataclass(frozen=True)
class RenderedPage:
    """A page with what is on it, in reading order."""

    name: str
    image: Image.Image
    printed: tuple[Printed, ...]

    @property
    def text(self) -> str:
        """Its words with single spaces."""
        return " ".join(piece.text for piece in self.printed)


@dataclass
class Sheet:
    """A page under construction; places are px from the top left."""

    dpi: int
    points: float
    font: str
    size_mm: tuple[int, int]
    rng: random.Random
    printed: list[Printed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image = Image.new("L", (self.px(self.size_mm[0]), self.px(self.size_mm[1])), 255)
        self.pen = ImageDraw.Draw(self.image)
        self.y = 0.0  # of the next baseline

    def px(self, mm: float) -> int:
        """Pixels of a length."""
        return round(mm / 25.4 * self.dpi)

    def style(self, factor: float = 1.0, bold: bool = False) -> Face:
        """The page's font, so many times as large as its text; bold where the family has that."""
        name = self.font.replace("Regular", "Bold") if bold else self.font
        return face(name, round(factor * self.points / 72 * self.dpi))

    def write(self, x: float, text: str, style: Face | None = None, width: float = 0) -> None:
        """Prints words on the next baseline, spread over ``width`` where that is given."""
        style = style or self.style()
        words = text.split()
        space = style.width(" ")
        if width and len(words) > 1:
            space = (width - sum(map(style.width, words))) / (len(words) - 1)
        boxes = []
        for word in words:
            self.pen.text((x, self.y), word, font=style.font, fill=0, anchor="ls")
            boxes.append(self.pen.textbbox((x, self.y), word, font=style.font, anchor="ls"))
            x += style.width(word) + space
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        box = min(lefts), min(tops), max(rights), max(bottoms)
        self.printed.append(Printed(" ".join(words), box, tuple(boxes)))

    def write_right(self, x: float, text: str, style: Face | None = None) -> None:
        """Prints words that end at ``x``."""
        self.write(x - (style or self.style()).width(text), text, style)

    def write_centred(self, text: str, style: Face) -> None:
        """Prints words in the middle of the page."""
        self.write((self.image.width - style.width(text)) / 2, text, style)

    def down(self, factor: float = 1.3, style: Face | None = None) -> None:
        """Goes down by so many times the size of a font."""
        style = style or self.style()
        self.y += factor * (style.ascent + style.descent) / 1.3

    def paragraph(self, x: float, width: float, text: str, justified: bool, most: float) -> None:
        """Prints lines under each other, down to ``most``."""
        lines = wrapped(self.style(), text, width)
        for number, line in enumerate(lines, 1):
            if self.y > most:
                return
            self.write(x, line, width=width if justified and number < len(lines) else 0)
            self.down()
