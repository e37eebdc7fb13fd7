"""The rows read for a line's strips, joined to the line, with the place of each word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crispvl.layout.rows import Row
from crispvl.layout.strips import Strip
from crispvl.layout.word_places import Place, place_words
from crispvl.results.lines import Quad

if TYPE_CHECKING:
    from crispvl._core import LayoutLine


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
    """Returns a line from its strips, in order, and the row that was read for each."""
    ink = _Ink(line)
    words: list[ReadWord] = []
    sureness: list[float] = []
    for strip, row in zip(strips, rows, strict=True):
        sureness.extend(row.sureness)
        found = _words(ink, strip, row)
        if strip.within_word and words and found:
            last, first, *found = words.pop(), *found
            quad = (last.quad[0], first.quad[1], first.quad[2], last.quad[3])
            words.append(ReadWord(last.text + first.text, min(last.logprob, first.logprob), quad))
        words.extend(found)
    mean = sum(sureness) / len(sureness) if sureness else 0.0
    return ReadLine(tuple(words), mean, corners(line.quad), tuple(rows), line.block)


def corners(quad: NDArray[np.floating[Any]]) -> Quad:
    """Returns a quadrilateral ``[4, 2]`` as numbers, to a hundredth of a px."""
    a, b, c, d = ((round(float(x), 2), round(float(y), 2)) for x, y in quad)
    return a, b, c, d


def _words(ink: _Ink, strip: Strip, row: Row) -> list[ReadWord]:
    texts, starts, end = row.text.split(), [], 0
    for text in texts:
        starts.append(row.text.index(text, end))
        end = starts[-1] + len(text)
    places = place_words(texts, strip.words)
    return [
        ReadWord(text, min(row.sureness[start : start + len(text)]), ink.quad(strip.i_word, place))
        for text, start, place in zip(texts, starts, places, strict=True)
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
