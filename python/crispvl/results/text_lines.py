"""Where on a page the lines of its text are, as far as the ink tells.

InternVL writes a page's text without saying where it is. Lines of ink are rows of pixels that
have any, parted by rows that have none. Where there are as many as there are lines of text, they
belong together in their order; otherwise the lines of text are spread evenly over all of the ink.
So a plain page gets its lines where they are, and a page of columns, forms or pictures one block.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

MAX_SIDE_PX = 1600
"""Pages are looked at in this size, in which the smallest print still shows."""

_SPECK = 0.4
"""Runs of rows under this part of the usual line's height are dots and accents of a line as close
by, or else rules, which are no lines of text."""


_PAPER_PX = 16  # of the squares whose lightest neighbour, two away at most, is the paper
_MIN_CONTRAST = 24  # levels by which ink differs from its paper; scanner noise stays below
_SHARE_OF_CONTRAST = 0.4  # of the darkest ink's, that makes a pixel ink


@dataclass(frozen=True)
class TextBox:
    """A piece of text in a rectangle, in pixels of the page."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


def place_lines(text: str, page: Image.Image) -> list[TextBox]:
    """Returns the lines of a page's text that hold any, each with its place."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    mask = text_mask(page)
    scale = page.width / mask.shape[1]
    found = find_lines(mask)
    boxes = found if len(found) == len(lines) else _spread(mask, len(lines))
    return [
        TextBox(line, *(float(side) * scale for side in box))
        for line, box in zip(lines, boxes, strict=True)
    ]


def place_words(line: TextBox) -> list[TextBox]:
    """Returns the words of a line, each with as much of its width as it has of its characters.

    They are in the order of the text; where each is follows its script, from the right for Hebrew
    and Arabic.
    """
    from crispvl._core import visual_spans

    per_character = (line.right - line.left) / len(line.text)
    spans = visual_spans(line.text)
    return [
        TextBox(word, *_across(line, start * per_character, end * per_character))
        for word, (start, end) in zip(line.text.split(), spans, strict=True)
    ]


def _across(line: TextBox, left: float, right: float) -> tuple[float, float, float, float]:
    return line.left + left, line.top, line.left + right, line.bottom


def text_mask(page: Image.Image) -> NDArray[np.bool_]:
    """Returns where a page has strokes, ``[height, width]`` of the page scaled to `MAX_SIDE_PX`.

    Unlike `crispvl.inputs.ink.is_blank`, which must find the faintest mark, this leaves out what is
    pale beside the page's darkest ink.
    """
    grey = page.convert("L")
    grey.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX, reducing_gap=None)
    if np.median(np.asarray(grey)) < 128:
        grey = ImageOps.invert(grey)
    size = max(1, grey.width // _PAPER_PX), max(1, grey.height // _PAPER_PX)
    paper = grey.resize(size, Image.Resampling.BOX).filter(ImageFilter.MaxFilter(5))
    paper = paper.resize(grey.size, Image.Resampling.BILINEAR)
    contrast = np.asarray(paper).astype(np.int16) - np.asarray(grey)
    strokes: NDArray[np.bool_] = contrast > max(_MIN_CONTRAST, _SHARE_OF_CONTRAST * contrast.max())
    return strokes


def find_lines(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Returns left, top, right and bottom of each line of ink, from top to bottom."""
    runs = _runs(np.any(mask, axis=1))
    if not runs:
        return []
    usual = float(np.median([bottom - top for top, bottom in runs]))
    merged: list[tuple[int, int]] = []
    for top, bottom in runs:
        if merged:
            last_top, last_bottom = merged[-1]
            low = min(bottom - top, last_bottom - last_top) < _SPECK * usual
            if low and top - last_bottom < _SPECK * usual:
                merged[-1] = (last_top, bottom)
                continue
        merged.append((top, bottom))
    boxes = []
    for top, bottom in merged:
        if bottom - top >= _SPECK * usual:
            left, right = _extent(mask[top:bottom])
            boxes.append((left, top, right, bottom))
    return boxes


def _runs(has_ink: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Returns where runs of true values start, and where they have ended."""
    edges = np.diff(has_ink.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(int(start), int(end)) for start, end in zip(starts, ends, strict=True)]


def _extent(rows: NDArray[np.bool_]) -> tuple[int, int]:
    columns = np.flatnonzero(np.any(rows, axis=0))
    return int(columns[0]), int(columns[-1]) + 1


def _spread(mask: NDArray[np.bool_], n_lines: int) -> list[tuple[float, float, float, float]]:
    """Returns as many rectangles under each other that together cover the ink."""
    if not mask.any():
        mask = np.ones_like(mask)
    left, right = _extent(mask)
    top, bottom = _extent(mask.T)
    height = (bottom - top) / n_lines
    return [(left, top + i * height, right, top + (i + 1) * height) for i in range(n_lines)]
