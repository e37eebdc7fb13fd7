"""The rows read for a line's strips, joined to the line, with the place of each word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crispvl.layout.rows import Row
from crispvl.layout.strips import Strip
from crispvl.layout.word_places import Place, place_words
from crispvl.results.lines import Quad
from crispvl.results.word_order import begins_at_right, visual_spans

if TYPE_CHECKING:
    from crispvl._core import LayoutLine

_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class ReadWord:
    """A word of a line.

    Attributes:
        text: Without white space.
        logprob: Of its least sure character.
        quad: Its place on the page.
    """

    text: str
    logprob: float
    quad: Quad


@dataclass(frozen=True)
class ReadLine:
    """A line as it was read.

    Attributes:
        words: From its beginning to its end.
        logprob: Mean over its characters.
        quad: Its place on the page.
        rows: From which it was joined.
        block: Number of its block.
    """

    words: tuple[ReadWord, ...]
    logprob: float
    quad: Quad
    rows: tuple[Row, ...]
    block: int = 0

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def n_tokens(self) -> int:
        return sum(len(row.ids) for row in self.rows)


def join_strips(line: LayoutLine, strips: Sequence[Strip], rows: Sequence[Row]) -> ReadLine:
    """Returns a line from its strips, from left to right, and the row that was read for each."""
    ink = _Ink(line)
    found = [_words(ink, strip, row) for strip, row in zip(strips, rows, strict=True)]
    is_mirrored = begins_at_right(" ".join(row.text for row in rows))
    words: list[ReadWord] = []
    for i in reversed(range(len(strips))) if is_mirrored else range(len(strips)):
        i_right = i + 1 if is_mirrored else i  # of this strip and the one before, the right one
        is_parted = i_right < len(strips) and strips[i_right].within_word
        if is_parted and words and found[i]:
            words.append(_joined(words.pop(), found[i].pop(0), is_mirrored))
        words.extend(found[i])
    sureness = [sure for row in rows for sure in row.sureness]
    mean = sum(sureness) / len(sureness) if sureness else 0.0
    return ReadLine(tuple(words), mean, corners(line.quad), tuple(rows), line.block)


def _joined(begin: ReadWord, end: ReadWord, is_mirrored: bool) -> ReadWord:
    """Returns a word from its two parts, the first of which is right of the other if mirrored."""
    left, right = (end, begin) if is_mirrored else (begin, end)
    quad = (left.quad[0], right.quad[1], right.quad[2], left.quad[3])
    return ReadWord(begin.text + end.text, min(begin.logprob, end.logprob), quad)


def corners(quad: NDArray[np.floating[Any]]) -> Quad:
    """Returns a quadrilateral ``[4, 2]`` as numbers, to a hundredth of a px."""
    a, b, c, d = ((round(float(x), 2), round(float(y), 2)) for x, y in quad)
    return a, b, c, d


def _words(ink: _Ink, strip: Strip, row: Row) -> list[ReadWord]:
    """Returns the words of a strip in the order of its text, whatever way they run."""
    spans = visual_spans(row.text)
    in_sight = sorted(range(len(spans)), key=lambda i: spans[i][1])
    places = dict(
        zip(in_sight, place_words([spans[i][0] for i in in_sight], strip.words), strict=True)
    )
    return [
        ReadWord(
            match[0], min(row.sureness[slice(*match.span())]), ink.quad(strip.i_word, places[i])
        )
        for i, match in enumerate(_WORD.finditer(row.text))
    ]


class _Ink:
    """The words of ink of a line, seen along its baseline."""

    def __init__(self, line: LayoutLine) -> None:
        origin, end = np.asarray(line.baseline, np.float64)
        along = (end - origin) / max(1e-6, float(np.linalg.norm(end - origin)))
        self._origin = origin
        self._axes = np.array([along, [-along[1], along[0]]])  # along the line, and down from it
        across = (np.asarray(line.word_quads, np.float64) - origin) @ self._axes[1]
        self._tops, self._bottoms = across.min(axis=1), across.max(axis=1)

    def quad(self, i_word: int, place: Place) -> Quad:
        """Returns the place of a word, whose number counts words of ink from ``i_word`` on."""
        ink = slice(i_word + place.first, i_word + place.last + 1)
        top, bottom = self._tops[ink].min(), self._bottoms[ink].max()
        found = [(place.start, top), (place.end, top), (place.end, bottom), (place.start, bottom)]
        return corners(self._origin + np.array(found) @ self._axes)
