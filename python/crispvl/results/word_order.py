"""Where the words of a line are shown: Unicode's bidirectional algorithm (UAX #9), word by word."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import groupby

_WORD = re.compile(r"\S+")


def visual_spans(text: str) -> list[tuple[str, int, int]]:
    """Returns the words of a line with their first column and the one after their last, from left.

    Columns are characters. The line runs the way of its first letter; words of the other direction
    are put the other way round among themselves.
    """
    words = [(match[0], match.start(), match.end()) for match in _WORD.finditer(text)]
    base = "R" if begins_at_right(text) else "L"
    directions = _resolve([word for word, _, _ in words], base)
    spans = [(start, end) for _, start, end in words]
    if base == "R":
        spans = _mirrored(spans, 0, len(text))
    for direction, group in groupby(range(len(words)), key=directions.__getitem__):
        run = list(group)
        if direction != base:
            part = [spans[i] for i in run]
            ends = [column for span in part for column in span]
            for i, span in zip(run, _mirrored(part, min(ends), max(ends)), strict=True):
                spans[i] = span
    return [(word, *span) for (word, _, _), span in zip(words, spans, strict=True)]


def begins_at_right(text: str) -> bool:
    """Returns whether a line runs from right to left: its first letter does."""
    return next(filter(None, map(_direction, text)), "L") == "R"


def _mirrored(spans: Sequence[tuple[int, int]], left: int, right: int) -> list[tuple[int, int]]:
    return [(left + right - end, left + right - start) for start, end in spans]


def _direction(character: str) -> str | None:
    """Returns L or R for a letter; None for all else, digits included."""
    kind = unicodedata.bidirectional(character)
    return {"L": "L", "R": "R", "AL": "R"}.get(kind)


def _resolve(words: Sequence[str], base: str) -> list[str]:
    """Returns the direction of each word: its letters', or that of the words around it.

    A number goes with what comes before it (rules W2, W7, N1), a sign with both sides if they are
    alike (N1), else with the line (N2).
    """
    strong = [next(filter(None, map(_direction, word)), None) for word in words]
    resolved: list[str] = []
    for i, word in enumerate(words):
        before = resolved[-1] if resolved else base
        after = next((kind for kind in strong[i:] if kind), base)
        is_number = any(character.isdecimal() for character in word)
        alike = before if before == after else base
        resolved.append(strong[i] or (before if is_number else alike))
    return resolved
