"""Which ink belongs to which word of a line's text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Span = tuple[float, float]


@dataclass(frozen=True)
class Place:
    """The place of a word in its line.

    Attributes:
        first: Number of the first word of ink that has a part in it.
        last: Number of the last one.
        start: Its left end, px along the line.
        end: Its right end.
    """

    first: int
    last: int
    start: float
    end: float


_NARROW = frozenset("iljtfrI1.,:;'`!|()[]{}/\\-\"")
_GAP = 0.1  # of a word's width, that is between two words whose ink runs together
_WIDE = frozenset("mwMWQGOD@%&—")


def place_words(words: Sequence[str], ink: Sequence[Span]) -> list[Place]:
    """Returns the place of each word along a line.

    Where there are as many words of ink, they belong together in their order. Otherwise words of
    ink are joined, or parted in proportion to the letters' usual widths, so that the widths agree
    best with those of the text.

    Args:
        words: Of the text, from left to right.
        ink: Start and end of words as the gaps tell, from left to right; at least one.
    """
    if len(words) == len(ink):
        return [Place(i, i, *span) for i, span in enumerate(ink)]
    if not words:
        return []
    widths = [text_width(word) for word in words]
    per_unit = sum(end - start for start, end in ink) / sum(widths)
    return _Alignment([width * per_unit for width in widths], list(ink)).places()


def text_width(word: str) -> float:
    """Returns about how wide a word is, in letters of usual width."""
    return sum(0.55 if c in _NARROW else 1.4 if c in _WIDE else 1.0 for c in word)


class _Alignment:
    """Text words to runs of ink words, or an ink word to a run of text words, at least cost."""

    def __init__(self, widths: list[float], ink: list[Span]) -> None:
        self._widths = widths
        self._ink = ink
        self._best = lru_cache(maxsize=None)(self._solve)

    def places(self) -> list[Place]:
        places: list[Place] = []
        i = j = 0
        while i < len(self._widths):
            _, n_words, n_ink = self._best(i, j)
            places.extend(self._part(i, n_words, j, n_ink))
            i, j = i + n_words, j + n_ink
        return places

    def _solve(self, i: int, j: int) -> tuple[float, int, int]:
        """Returns the cost from word i and ink j on, and how many of each belong together first."""
        n_words, n_ink = len(self._widths) - i, len(self._ink) - j
        if n_words == 0 or n_ink == 0:
            return (0.0 if n_words == n_ink else float("inf")), n_words, n_ink
        options = [(1, m) for m in range(1, min(n_ink, 4) + 1)]
        options += [(n, 1) for n in range(2, min(n_words, 4) + 1)]
        if n_ink == 1:
            options.append((n_words, 1))
        if n_words == 1:
            options.append((1, n_ink))
        costs = []
        for n, m in options:
            wanted = sum(self._widths[i : i + n])
            found = self._ink[j + m - 1][1] - self._ink[j][0]
            cost = abs(wanted - found) + self._best(i + n, j + m)[0]
            costs.append((cost, n, m))
        return min(costs)

    def _part(self, i: int, n_words: int, j: int, n_ink: int) -> list[Place]:
        last = j + n_ink - 1
        left, right = self._ink[j][0], self._ink[last][1]
        widths = self._widths[i : i + n_words]
        gap = _GAP * sum(widths) / n_words
        per_px = (right - left) / (sum(widths) + gap * (n_words - 1))
        places = []
        for width in widths:
            places.append(Place(j, last, left, left + width * per_px))
            left += (width + gap) * per_px
        return places
