"""Which ink belongs to which word of a line's text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Span = tuple[float, float]


class Place(NamedTuple):
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


def place_words(words: Sequence[str], ink: Sequence[Span]) -> list[Place]:
    """Returns the place of each word along a line.

    Where there are as many words of ink, they belong together in their order. Otherwise words of
    ink are joined, or parted in proportion to the letters' usual widths, so that the widths agree
    best with those of the text.

    Args:
        words: Of the text, from left to right.
        ink: Start and end of words as the gaps tell, from left to right; at least one.
    """
    from crispvl import _core

    return [Place(*place) for place in _core.place_words(words, ink)]
