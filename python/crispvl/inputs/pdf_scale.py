"""How finely a PDF's page must be drawn, so that nothing that it holds is lost."""

from __future__ import annotations

import mmap
import re
import zlib
from pathlib import Path
from typing import Any

from crispvl.inputs.pdf_images import IMAGE, page_parts, placed, scale_and_area
from crispvl.inputs.pdf_patterns import PATH, Patterned, page_copy, pattern_scale

_FILLED = 0.5  # of a page's area; images on less of it are pictures within a text

_LARGEST_UNIT = 75_000.0  # of Acrobat
_UNIT = re.compile(rb"/UserUnit\s*(\d*\.?\d+)(\s+\d+\s+R\b)?")
_OBJECT_STREAM = re.compile(rb"/ObjStm\b.{0,2000}?stream\r?\n", re.DOTALL)
_MOST_BYTES = 64 << 20  # of an object stream's text that is looked through


def image_scale(pdf: Any, i_page: int, page: Any) -> float:
    """Returns pixels per point of the images that together fill a page; 0 where none do.

    Images of the patterns that areas are filled with count as well.

    Args:
        pdf: A ``pypdfium2.PdfDocument``.
        i_page: The page, counted from 0.
        page: The same, open.
    """
    width, height = page.get_size()
    left = _FILLED * width * height
    patterned = Patterned()
    scales: list[tuple[float, float]] = []
    for part, matrix in page_parts(page, (IMAGE, PATH)):
        if part.type == PATH:
            patterned.add(part, matrix)
        else:
            scales.append(scale_and_area(part, placed(part, matrix)))
    if patterned.area >= left:
        scales.append((pattern_scale(pdf, i_page) / patterned.enlarged, patterned.area))
    for scale, area in sorted(scales, reverse=True):
        left -= area
        if left <= 0:
            return scale
    return 0.0


def user_unit(pdf: Any, i_page: int) -> float:
    """Returns how many 1/72 inch one unit of a page is (PDF 2.0, 14.3.2); PDFium does not tell.

    A copy of the page, as PDFium writes it, has the entry in plain text.
    """
    data = page_copy(pdf, i_page)
    found = _UNIT.search(data)
    if found and found[2]:  # an object of its own
        found = re.search(rb"\b%s\s+\d+\s+obj\s*(\d*\.?\d+)" % found[1], data)
    return min(max(float(found[1]), 1.0), _LARGEST_UNIT) if found else 1.0


def may_have_user_units(source: Path | bytes) -> bool:
    """Returns whether a file mentions ``/UserUnit``, so that its pages need be asked at all."""
    if isinstance(source, bytes):
        return _mentions_unit(source)
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _mentions_unit(data)


def _mentions_unit(data: bytes | mmap.mmap) -> bool:
    if data.find(b"/UserUnit") >= 0 or data.find(b"/Encrypt") >= 0:
        return True  # what is encrypted cannot be looked through
    for head in _OBJECT_STREAM.finditer(data):
        try:
            text = zlib.decompressobj().decompress(data[head.end() :], _MOST_BYTES)
        except zlib.error:
            return True
        if b"/UserUnit" in text:
            return True
    return False
