"""What viewers show of a PDF's pages, made all of the page for a while.

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
