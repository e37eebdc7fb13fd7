"""A page cut at its white space, as far as its print needs to be seen larger.

The cuts are those of the XY-cut (Nagy and Seth 1984): at the widest gap across all that is left, of
rows or of columns, again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crispvl.layout.corners import corners
from crispvl.results.lines import Quad, Rectangle, around

if TYPE_CHECKING:
    from crispvl._core import Layout

READABLE_PX = 10.0
"""x-height on a tile from which on print is read well; smaller print is cut out and enlarged."""

MAX_REGIONS = 32
"""Most regions, and so answers, of a page."""


@dataclass(frozen=True)
class _Text:
    """A line of the page: its number in reading order, its place, and its x-height in px."""

    number: int
    box: Rectangle
    x_height: float


def find_regions(layout: Layout, scale_of: Callable[[float, float], float]) -> list[Rectangle]:
    """Returns the parts of a page that are shown by themselves, in reading order.

    Args:
        layout: Of the page.
        scale_of: Returns by how much a picture of some width and height is enlarged on its tiles.
    """
    texts = [
        _Text(number, around([corners(line.quad)]), float(line.x_height_px))
        for number, line in enumerate(layout.lines)
    ]
    page = Rectangle(0, 0, layout.width, layout.height)
    if not texts or scale_of(page.right, page.bottom) * _x_height(texts) >= READABLE_PX:
        return [page]
    groups = [texts]
    done: list[list[_Text]] = []
    while groups:
        group = groups.pop()
        box = _bounds(group, page)
        small = scale_of(box.right - box.left, box.bottom - box.top) * _x_height(group)
        parts = _cut(group) if small < READABLE_PX else None
        if parts is None or len(groups) + len(done) + 2 > MAX_REGIONS:
            done.append(group)
        else:
            groups.extend(parts)
    done.sort(key=lambda group: min(text.number for text in group))
    return [_bounds(group, page) for group in done]


def _x_height(group: Sequence[_Text]) -> float:
    return float(np.median([text.x_height for text in group]))


def _bounds(group: Sequence[_Text], page: Rectangle) -> Rectangle:
    """Returns the place of some lines, with the white of half a line around them."""
    quads: list[Quad] = [
        ((b.left, b.top), (b.right, b.top), (b.right, b.bottom), (b.left, b.bottom))
        for b in (text.box for text in group)
    ]
    box, margin = around(quads), _x_height(group)
    return Rectangle(
        max(page.left, box.left - margin),
        max(page.top, box.top - margin),
        min(page.right, box.right + margin),
        min(page.bottom, box.bottom + margin),
    )


def _cut(group: Sequence[_Text]) -> tuple[list[_Text], list[_Text]] | None:
    """Returns lines in two parts with the widest white between them; None where there is none."""
    across = _widest_gap([(text.box.left, text.box.right) for text in group])
    down = _widest_gap([(text.box.top, text.box.bottom) for text in group])
    # Between columns white is rarer than between rows, and has to be wider than between words.
    is_column = across is not None and across[0] > 1.5 * _x_height(group)
    if is_column and across is not None:
        at = across[1]
        sides = [text.box.left >= at for text in group]
    elif down is not None:
        at = down[1]
        sides = [text.box.top >= at for text in group]
    else:
        return None
    first = [text for text, is_after in zip(group, sides, strict=True) if not is_after]
    return first, [text for text, is_after in zip(group, sides, strict=True) if is_after]


def _widest_gap(spans: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Returns the width and the middle of the widest gap between spans."""
    widest, end = None, None
    for start, stop in sorted(spans):
        if end is not None and start > end and (widest is None or start - end > widest[0]):
            widest = start - end, (start + end) / 2
        end = stop if end is None else max(end, stop)
    return widest
