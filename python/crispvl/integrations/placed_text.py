"""Lines of known places as OCRmyPDF lays them upon a page: on their ink, turned as they are."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ocrmypdf import Baseline, BoundingBox, OcrClass, OcrElement

from crispvl.integrations.word_elements import word_elements
from crispvl.results.lines import Line, Quad, Rectangle, around

_DESCENDING = frozenset("gjpqyQ,;()[]{}|$@_")
_DESCENT = 0.22  # of a line's height, that is under its baseline where a letter reaches so far

_TILT = 0.5
"""Of a line's height, by which its ends may differ before its words are laid one by one."""


@dataclass(frozen=True)
class PlacedText:
    """A line or a word and its corners in px, clockwise from the text's own top left."""

    text: str
    quad: Quad
    words: tuple[PlacedText, ...] = ()


def placed_line(line: Line) -> PlacedText | None:
    """Returns a line with its places; None where they are not known.

    It has words only where they are all of its text and have places themselves.
    """
    if line.quad is None:
        return None
    words = tuple(PlacedText(word.text, word.quad) for word in line.words if word.quad is not None)
    return PlacedText(line.text, line.quad, _if_all(words, line.text))


def recorded_lines(record: Mapping[str, Any]) -> list[PlacedText]:
    """Returns the lines of a page as `crispvl.results.page.Page.to_dict` wrote them.

    A record without places has none.
    """
    words: deque[Sequence[Any]] = deque(record.get("words") or ())
    lines = []
    for line in record.get("lines") or ():
        if line.get("quad") is None:
            return []
        text, quad = line["text"], _quad(line["quad"])
        own = _taken(words, around([quad]), len(text.split()))
        placed = tuple(PlacedText(word[0], _word_quad(word)) for word in own if len(word) > 2)
        lines.append(PlacedText(text, quad, _if_all(placed, text)))
    return lines


def _taken(words: deque[Sequence[Any]], box: Rectangle, n: int) -> list[Sequence[Any]]:
    """Takes the next words off, at most n of them, but none that lies beside a line's box."""
    taken: list[Sequence[Any]] = []
    while words and len(taken) < n and (len(words[0]) < 3 or _is_within(words[0][2], box)):
        taken.append(words.popleft())
    return taken


def _is_within(word: Sequence[float], box: Rectangle) -> bool:
    """Returns whether the middle of a word's box is in a line's."""
    x, y = (word[0] + word[2]) / 2, (word[1] + word[3]) / 2
    return box.left - 1 <= x <= box.right + 1 and box.top - 1 <= y <= box.bottom + 1


def _if_all(words: tuple[PlacedText, ...], text: str) -> tuple[PlacedText, ...]:
    return words if [word.text for word in words] == text.split() else ()


def moved(line: PlacedText, scale: float, left: float, top: float) -> PlacedText:
    """Returns a line of a part of a page, in other px, on the whole page.

    Args:
        line: In px of the part as it was read.
        scale: From these to px of the page.
        left: Of the part, in px of the page.
        top: Likewise.
    """
    a, b, c, d = ((scale * x + left, scale * y + top) for x, y in line.quad)
    words = tuple(moved(word, scale, left, top) for word in line.words)
    return PlacedText(line.text, (a, b, c, d), words)


def line_elements(line: PlacedText) -> list[OcrElement]:
    """Returns what is laid upon a page for a line: itself, or its words where it is aslant."""
    corners = np.asarray(line.quad)
    along, height = corners[1] - corners[0], np.linalg.norm(corners[3] - corners[0])
    turn = round(math.degrees(math.atan2(along[1], along[0])) / 90)
    tilt = abs((_turned(along[None], turn))[0, 1])
    parts = line.words or (line,)
    if tilt <= _TILT * height:
        return [_element(line, parts, turn)]
    return [_element(word, (word,), turn) for word in parts]


def _element(line: PlacedText, words: Sequence[PlacedText], turn: int) -> OcrElement:
    corners = np.asarray(line.quad)
    upright = _turned(corners, turn)
    run = upright[1] - upright[0]
    slope = float(run[1] / max(1e-6, run[0]))
    under = _DESCENT if not _DESCENDING.isdisjoint(line.text) else 0.0
    height = float(np.linalg.norm(corners[3] - corners[0]))
    lowest = float(upright[:, 1].max())
    children = [
        element
        for word in words
        for element in word_elements(word.text, _box(np.asarray(word.quad)))
    ]
    return OcrElement(
        ocr_class=OcrClass.LINE,
        bbox=_box(corners),
        children=children,
        baseline=Baseline(slope=slope, intercept=float(upright[3, 1]) - lowest - under * height),
        textangle=float(-90 * turn % 360) or None,
    )


def _turned(points: NDArray[np.float64], turn: int) -> NDArray[np.float64]:
    """Returns points as they are once the page is turned back by this many quarters clockwise."""
    for _ in range(turn % 4):
        points = np.stack([points[:, 1], -points[:, 0]], axis=1)
    return points


def _box(corners: NDArray[np.float64]) -> BoundingBox:
    left, top = (float(v) for v in corners.min(axis=0))
    right, bottom = (float(v) for v in corners.max(axis=0))
    return BoundingBox(left, top, max(right, left + 1), max(bottom, top + 1))  # none is empty


def _word_quad(word: Sequence[Any]) -> Quad:
    if len(word) > 3:
        return _quad(word[3])
    left, top, right, bottom = word[2]
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _quad(corners: Sequence[Sequence[float]]) -> Quad:
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return a, b, c, d
