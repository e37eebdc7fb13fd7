"""What viewers show of a PDF's pages: made all of the page for a while, or told as a part of it.

OCRmyPDF draws and writes upon the whole media box. What was read is in pixels of the part that the
crop box shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from crispvl.extras import need

Box: TypeAlias = tuple[float, float, float, float]
"""Left, bottom, right, top, in units of the page."""

Boxes: TypeAlias = Mapping[int, tuple[Box, Box]]
"""Media box and crop box of the pages that were changed, counted from 0."""


def narrow_boxes(pdf: Any) -> Boxes:
    """Makes what is shown of each page its media box, and returns what the boxes were.

    Args:
        pdf: A file that pikepdf opened.
    """
    changed: dict[int, tuple[Box, Box]] = {}
    for i_page, page in enumerate(pdf.pages):
        media, crop = _box(page.mediabox), _box(page.cropbox)
        if media is None or crop is None:
            continue
        shown = _intersection(media, crop)
        if shown != media:
            changed[i_page] = media, crop
            _set(page, shown, shown)
    return changed


def restore_boxes(path: Path, boxes: Boxes) -> None:
    """Gives the pages of a file the boxes that they had."""
    pikepdf = need("pikepdf", "pdf")
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        for i_page, (media, crop) in boxes.items():
            _set(pdf.pages[i_page], media, crop)
        pdf.save(path, linearize=pdf.is_linearized)


def shown_parts(path: Path) -> list[Box]:
    """Returns what viewers show of each page of a file.

    Returns:
        Left, top, right and bottom as shares of the media box, turned as the page is shown.
    """
    pikepdf = need("pikepdf", "pdf")
    with pikepdf.open(path) as pdf:
        return [_shown_part(page) for page in pdf.pages]


def _shown_part(page: Any) -> Box:
    media, crop = _box(page.mediabox), _box(page.cropbox)
    if media is None or crop is None or media[0] == media[2] or media[1] == media[3]:
        return 0.0, 0.0, 1.0, 1.0
    shown = _intersection(media, crop)
    width, height = media[2] - media[0], media[3] - media[1]
    left, right = (shown[0] - media[0]) / width, (shown[2] - media[0]) / width
    top, bottom = (media[3] - shown[3]) / height, (media[3] - shown[1]) / height
    for _ in range(page.rotation // 90 % 4):  # quarters, clockwise
        left, top, right, bottom = 1 - bottom, left, 1 - top, right
    return left, top, right, bottom


def _set(page: Any, media: Box, crop: Box) -> None:
    page.mediabox, page.cropbox = list(media), list(crop)


def _box(values: Sequence[Any]) -> Box | None:
    """Returns a box whose corners are in order; None for what is no box."""
    try:
        x0, y0, x1, y1 = (float(value) for value in values)
    except (TypeError, ValueError):
        return None
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _intersection(media: Box, crop: Box) -> Box:
    """Returns what both hold; a crop box beside the page means nothing."""
    left, bottom = max(media[0], crop[0]), max(media[1], crop[1])
    right, top = min(media[2], crop[2]), min(media[3], crop[3])
    return (left, bottom, right, top) if left < right and bottom < top else media
