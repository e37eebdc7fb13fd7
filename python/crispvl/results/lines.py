"""Lines, words and blocks of a page, each with its place and confidence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

_WORD = re.compile(r"\S+")

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


MOST_PX = 1e7
"""Beyond the corners of all pages."""


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

    def __post_init__(self) -> None:
        _check(self)

    @property
    def box(self) -> Rectangle | None:
        return around([self.quad]) if self.quad else None

    def to_list(self) -> list[Any]:
        """Returns text and confidence as JSON's types.

        The box follows if it is known, and the corners if that is not upright.
        """
        known: list[Any] = [self.text, round(self.confidence, 4)]
        if self.quad is not None:
            known.append(list(around([self.quad])))
            if not is_upright(self.quad):
                known.append([list(corner) for corner in self.quad])
        return known


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of text as it is on the page, and how sure the model was of it.

    One that is made without words has those of its text, each with its share of the line.

    Raises:
        ValueError: The confidence or a corner is no finite number, or there are not four corners;
            those of a `Word` likewise.
    """

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

    def __post_init__(self) -> None:
        _check(self)
        if not self.words and self.text.strip():
            object.__setattr__(self, "words", tuple(_shares(self)))

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


def _check(thing: Word | Line) -> None:
    name = type(thing).__name__
    if not math.isfinite(thing.confidence):
        raise ValueError(
            f"[{name}] expected a confidence from 0 to 1; found {thing.confidence}; "
            "leave out what was not read"
        )
    if thing.quad is None:
        return
    if [len(corner) for corner in thing.quad] != [2] * 4 or not all(
        abs(value) <= MOST_PX for corner in thing.quad for value in corner
    ):
        raise ValueError(
            f"[{name}] expected four corners (x, y) in px of the page; found {thing.quad}; "
            "pass quad=None if the position is not known"
        )


def _shares(line: Line) -> Iterator[Word]:
    """Yields the words of a line's text, each with as much of its place as it has characters."""
    from crispvl._core import visual_spans

    n_characters = len(line.text)
    spans = visual_spans(line.text.encode("utf-8", "replace").decode())  # half surrogates
    for match, span in zip(_WORD.finditer(line.text), spans, strict=True):
        quad = line.quad and _part(line.quad, *(end / n_characters for end in span))
        yield Word(
            text=match[0], start=line.start + match.start(), confidence=line.confidence, quad=quad
        )


def _part(quad: Quad, begin: float, end: float) -> Quad:
    """Returns what is between two shares of a quadrilateral's width."""
    a, b, c, d = quad

    def between(left: Sequence[float], right: Sequence[float], share: float) -> tuple[float, float]:
        x, y = (p + share * (q - p) for p, q in zip(left, right, strict=True))
        return x, y

    return between(a, b, begin), between(a, b, end), between(d, c, end), between(d, c, begin)


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
