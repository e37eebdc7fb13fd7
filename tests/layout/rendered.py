"""Pages drawn with known places of every line and word, and measures of what was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in px."""

TEXT = (
    "the quick brown fox jumps over a lazy dog while seven judges pay back their extra "
    "money to a king who lives by the old bridge near Quebec and keeps forty zebras"
)
WORDS = TEXT.split()


class RenderedPage:
    """A page at a resolution, with the ink boxes of what is written on it."""

    def __init__(
        self, width_mm: float = 210, height_mm: float = 297, dpi: int = 150, paper: int = 255
    ) -> None:
        self.dpi = dpi
        self.image = Image.new("L", (self.px(width_mm), self.px(height_mm)), paper)
        self.pen = ImageDraw.Draw(self.image)
        self.lines: list[Box] = []
        self.words: list[Box] = []
        self.texts: list[str] = []

    def px(self, mm: float) -> int:
        return round(mm / 25.4 * self.dpi)

    def font(self, points: float) -> ImageFont.FreeTypeFont:
        font = ImageFont.load_default(points / 72 * self.dpi)
        assert isinstance(font, ImageFont.FreeTypeFont)
        return font

    def write(
        self,
        x_mm: float,
        y_mm: float,
        text: str,
        points: float = 11,
        ink: int = 0,
        right: bool = False,
        bold: int = 0,
    ) -> None:
        """Writes one line; ``y_mm`` is its baseline, ``x_mm`` its left or right end.

        Strokes are ``bold`` px wider on each side.
        """
        font, x, y = self.font(points), float(self.px(x_mm)), self.px(y_mm)
        if right:
            x -= font.getlength(text)
        boxes: list[Box] = []
        for word in text.split():
            at = x + font.getlength(text[: _start(text, word, len(boxes))])
            self.pen.text((at, y), word, font=font, fill=ink, anchor="ls", stroke_width=bold)
            boxes.append(self.pen.textbbox((at, y), word, font=font, anchor="ls"))
        self.words += boxes
        self.lines.append(hull(boxes))
        self.texts.append(text)

    def column(
        self,
        x_mm: float,
        y_mm: float,
        width_mm: float,
        n_lines: int,
        points: float = 11,
        first: int = 0,
    ) -> None:
        """Writes a paragraph whose lines fill a column."""
        font, i = self.font(points), first
        for row in range(n_lines):
            text = WORDS[i % len(WORDS)]
            while font.getlength(f"{text} {WORDS[(i + 1) % len(WORDS)]}") < self.px(width_mm):
                i += 1
                text += " " + WORDS[i % len(WORDS)]
            i += 1
            self.write(x_mm, y_mm + row * points * 1.3 / 72 * 25.4, text, points)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        return np.asarray(self.image.convert("RGB"))


def _start(text: str, word: str, i_word: int) -> int:
    at = 0
    for other in text.split()[:i_word]:
        at = text.index(other, at) + len(other)
    return text.index(word, at)


def hull(boxes: Sequence[Box]) -> Box:
    """The smallest box around boxes."""
    left, top, right, bottom = zip(*boxes, strict=True)
    return min(left), min(top), max(right), max(bottom)


def box_of(quad: NDArray[np.float32]) -> Box:
    """The box around a quadrilateral ``[4, 2]``."""
    left, top = (float(v) for v in quad.min(axis=0))
    right, bottom = (float(v) for v in quad.max(axis=0))
    return left, top, right, bottom


def iou(a: Box, b: Box) -> float:
    """Intersection over union."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def mean_iou(truth: Sequence[Box], found: Sequence[Box]) -> float:
    """Mean over the true boxes of the IoU with the best of those found."""
    return float(np.mean([max((iou(t, f) for f in found), default=0.0) for t in truth]))
