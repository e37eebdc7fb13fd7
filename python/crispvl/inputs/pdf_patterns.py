"""Images within a PDF's tiling patterns, of which PDFium draws what is filled but tells nothing."""

from __future__ import annotations

import ctypes
import io
import math
import re
from contextlib import closing
from typing import Any

from crispvl.inputs.pdf_images import page_images, scale_and_area

PATH = 2  # FPDF_PAGEOBJ_PATH of fpdf_edit.h
_STAND_IN = (0xBF, 0xBF, 0xBF)  # what PDFium calls the colour of a pattern that has its own
_PATTERN = b"/PatternType 1"
_HEAD = 4096  # bytes of a dictionary before its pattern's type
_PAGES = 2  # the number of the page tree in a document that PDFium begins


class Patterned:
    """What of a page may be filled with patterns: some of it may be plain grey.

    Attributes:
        area: In points².
        enlarged: By the form that the largest of it is in.
    """

    def __init__(self) -> None:
        self.area, self.enlarged = 0.0, 1.0
        self._largest = 0.0
        # Made once: a drawing may have a hundred thousand paths.
        self._colours = [ctypes.c_uint() for _ in range(4)]
        self._mode, self._stroke = ctypes.c_int(), ctypes.c_int()

    def add(self, path: Any, matrix: Any) -> None:
        """Adds a path of the page, given the matrix of the form that it is in."""
        if not self._is_stand_in(path):
            return
        left, bottom, right, top = (getattr(path, "get_bounds", None) or path.get_pos)()
        factor = 1.0 if matrix is None else abs(matrix.a * matrix.d - matrix.b * matrix.c)
        area = factor * (right - left) * (top - bottom)
        self.area += area
        if area > self._largest:
            self._largest, self.enlarged = area, math.sqrt(factor)

    def _is_stand_in(self, path: Any) -> bool:
        from pypdfium2 import raw

        return bool(
            raw.FPDFPageObj_GetFillColor(path, *self._colours)
            and tuple(colour.value for colour in self._colours[:3]) == _STAND_IN
            and raw.FPDFPath_GetDrawMode(path, self._mode, self._stroke)
            and self._mode.value
        )


def pattern_scale(pdf: Any, i_page: int) -> float:
    """Returns pixels per point of the largest image within the patterns of a page; 0 if none is.

    A pattern's cell is written like a form (PDF 1.7, 8.7.3 and 8.10): in a copy of the page,
    PDFium is told that it is one, and that the page shows all of them.
    """
    import pypdfium2

    copy = _with_forms(page_copy(pdf, i_page))
    if copy is None:
        return 0.0
    with closing(pypdfium2.PdfDocument(copy)) as pdf, closing(pdf[0]) as shown:
        found = [scale_and_area(image, matrix) for image, matrix in page_images(shown)]
    return max(found, key=lambda one: one[1], default=(0.0, 0.0))[0]


def _with_forms(data: bytes) -> bytes | None:
    """Returns a file of one page whose patterns are forms that it shows; None if it has none."""
    numbers: list[int] = []
    for place in re.finditer(_PATTERN + rb"\b", data):
        heads = re.findall(rb"(\d+) 0 obj\b", data[max(0, place.start() - _HEAD) : place.start()])
        numbers += map(int, heads[-1:])
    if not numbers:
        return None
    before = re.search(rb"startxref\s+(\d+)\s+%%EOF\s*$", data)
    size = re.search(rb"/Size (\d+)(?!.*/Size )", data, re.DOTALL)
    if not before or not size:
        return None
    data = data.replace(_PATTERN, b"/Subtype/Form ").replace(b"/Type/Pattern", b"/Type/XObject")
    page, content = int(size[1]), int(size[1]) + 1
    names = b"".join(b"/P%d %d 0 R" % (number, number) for number in numbers)
    drawn = b" ".join(b"/P%d Do" % number for number in numbers)
    objects = {
        _PAGES: b"<</Type/Pages/Count 1/Kids[%d 0 R]>>" % page,
        page: b"<</Type/Page/Parent %d 0 R/MediaBox[0 0 99 99]/Contents %d 0 R"
        b"/Resources<</XObject<<%s>>>>>>" % (_PAGES, content, names),
        content: b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
    }
    table = b""
    for number, body in objects.items():
        table += b"%d 1\n%010d 00000 n \n" % (number, len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    trailer = b"trailer\n<</Root 1 0 R/Size %d/Prev %d>>\n" % (content + 1, int(before[1]))
    return data + b"xref\n%s%sstartxref\n%d\n%%%%EOF\n" % (table, trailer, len(data))


def page_copy(pdf: Any, i_page: int) -> bytes:
    """Returns a file with one page of a document, whose dictionaries are in plain text."""
    import pypdfium2

    copy = pypdfium2.PdfDocument.new()
    try:
        copy.import_pages(pdf, [i_page])
        buffer = io.BytesIO()
        copy.save(buffer)
    finally:
        copy.close()
    return buffer.getvalue()
