"""Lines, words and blocks of a page, each with its place and confidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

BlockKind = Literal["text", "heading", "table"]

Quad: TypeAlias = tuple[
    tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]
]
"""Corners in px of the page, clockwise from the text's own top left."""


class Rectangle(NamedTuple):
    """Upright, in px of the page."""

    left: float
    top: float
    right: float
    bottom: float


def around(quads: Sequence[Quad]) -> Rectangle:
    """Returns the smallest rectangle that holds some quadrilaterals."""
    xs = [x for quad in quads for x, _ in quad]
    ys = [y for quad in quads for _, y in quad]
    return Rectangle(min(xs), min(ys), max(xs), max(ys))


def is_upright(quad: Quad) -> bool:
    """Returns whether a quadrilateral is its own rectangle, but for half a px."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    sides = (x0 - x3, x1 - x2, y0 - y1, y3 - y2)
    return x0 < x2 and y0 < y2 and all(abs(side) < 1 for side in sides)


@dataclass(frozen=True, kw_only=True)
class Word:
    """Characters between white space, and how sure the model was of them."""

    text: str
    start: int
    """Its first character in the page's text, counted from 0."""
    confidence: float
    """Probability of the least likely token that has a part in the word."""
    quad: Quad | None = None
    """Its place; None where the page was not read by lines."""

    @property
    def box(self) -> Rectangle | None:
        return around([self.quad]) if self.quad else None

    def to_list(self) -> list[Any]:
        """Returns text and confidence as JSON's types.

        Where it is known, the box follows, and the corners where that is not upright.
        """
        known: list[Any] = [self.text, round(self.confidence, 4)]
        if self.quad is not None:
            known.append(list(around([self.quad])))
            if not is_upright(self.quad):
                known.append([list(corner) for corner in self.quad])
        return known


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of text as it is on the page, and how sure the model was of it."""

    text: str
    start: int
    """Its first character in the page's text, counted from 0."""
    confidence: float
    """Geometric mean of its characters' probabilities."""
    words: tuple[Word, ...] = field(default=(), repr=False)
    quad: Quad | None = None
    """Its place; None where the page was not read by lines."""
    block: int = 0
    """Number of its block, in reading order from 0."""

    @property
    def box(self) -> Rectangle | None:
        return around([self.quad]) if self.quad else None

    def to_dict(self) -> dict[str, Any]:
        """Returns the line as JSON's types."""
        return {
            "text": self.text,
            "confidence": round(self.confidence, 4),
            "box": None if self.box is None else list(self.box),
            "quad": None if self.quad is None else [list(corner) for corner in self.quad],
            "block": self.block,
        }


@dataclass(frozen=True, kw_only=True)
class Block:
    """Lines that belong together: a paragraph, a column, a heading, a table.

    ``Line.block`` of its lines is its number among a page's blocks.
    """

    kind: BlockKind
    box: Rectangle


def lines_of_text(text: str, words: Sequence[Word]) -> tuple[Line, ...]:
    """Returns the lines of a text that hold words, without places.

    Args:
        text: Of a page.
        words: Of the text, in order.
    """
    lines, start, i = [], 0, 0
    for line in text.split("\n"):
        end, first = start + len(line), i
        while i < len(words) and words[i].start < end:
            i += 1
        if i > first:
            found = tuple(words[first:i])
            logprobs = [math.log(max(word.confidence, 1e-30)) for word in found]
            mean = math.exp(sum(logprobs) / len(logprobs))
            lines.append(Line(text=line, start=start, confidence=mean, words=found))
        start = end + 1
    return tuple(lines)
