"""The images on a PDF's page: where they are, and whether their data is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crispvl.inputs.damaged_data import (
    count_deflated,
    count_lzw,
    count_packbits,
    fax_agrees,
    is_damaged_jpeg,
    jbig2_breaks_off,
)

_MAX_DEPTH = 8  # of forms within forms
IMAGE, _FORM = 3, 5  # FPDF_PAGEOBJ_IMAGE and FPDF_PAGEOBJ_FORM of fpdf_edit.h
_FAX_FORMS = ((4, 0), (3, 0), (3, 1), (2, 0))
"""TIFF's compression and options; PDFium does not tell which of them an image has."""
_BITS = {8: (2, 3, 4, 6, 8), 24: (9, 10, 12, 15, 16, 18, 20, 24), 32: (24, 32)}
"""Of a pixel in the file, by those that PDFium makes of them."""
_SLACK = 16  # bytes that writers may add
_ALL = 1 << 40


def page_images(page: Any) -> Iterator[tuple[Any, Any]]:
    """Yields each image, also of those within forms, with its matrix.

    Args:
        page: A ``pypdfium2.PdfPage``.
    """
    for image, matrix in page_parts(page, (IMAGE,)):
        yield image, placed(image, matrix)


def page_parts(
    page: Any, kinds: tuple[int, ...], form: Any = None, matrix: Any = None, depth: int = 0
) -> Iterator[tuple[Any, Any]]:
    """Yields objects of some kinds, with the matrix of the form they are in; None on the page."""
    for part in page.get_objects(filter=(*kinds, _FORM), max_depth=1, form=form):
        if part.type in kinds:
            yield part, matrix
        elif depth < _MAX_DEPTH:
            yield from page_parts(page, kinds, part.raw, placed(part, matrix), depth + 1)


def placed(part: Any, matrix: Any) -> Any:
    """Returns the matrix of an object on the page, given that of the form it is in."""
    own = part.get_matrix()
    return own if matrix is None else own.multiply(matrix)


def scale_and_area(image: Any, matrix: Any) -> tuple[float, float]:
    """Returns pixels per point and area in points² of an image; 0 where it has none."""
    n_columns, n_rows = (getattr(image, "get_px_size", None) or image.get_size)()
    across, down = abs(complex(matrix.a, matrix.b)), abs(complex(matrix.c, matrix.d))
    if across == 0 or down == 0:
        return 0.0, 0.0
    area = abs(matrix.a * matrix.d - matrix.b * matrix.c)
    return max(n_columns / across, n_rows / down), area


def has_damaged_images(page: Any) -> bool:
    """Returns whether PDFium leaves an image of the page out, or draws one of damaged data."""
    return any(_is_damaged(image) for image, _ in page_images(page))


def _is_damaged(image: Any) -> bool:
    if image.get_metadata().bits_per_pixel == 0:  # PDFium cannot decode it
        return True
    filters = image.get_filters()
    if filters[-1:] in (["DCTDecode"], ["DCT"]):
        return is_damaged_jpeg(bytes(image.get_data(decode_simple=True)))
    if filters[-1:] in (["CCITTFaxDecode"], ["CCF"]):
        return _is_damaged_fax(image)
    if filters[-1:] == ["JBIG2Decode"]:
        data = bytes(image.get_data(decode_simple=True))
        return jbig2_breaks_off(data) or not _is_drawn(image)
    if len(filters) > 1:
        return filters[0] in ("FlateDecode", "Fl") and count_deflated(_data(image), _ALL) is None
    return not _holds_all(image, *filters)


def _holds_all(image: Any, coding: str = "") -> bool:
    """Returns whether an image's data holds as many bytes as its pixels need."""
    sizes, data = _sizes(image), _data(image)
    most = max(sizes)
    counts: list[int | None] = [len(data)]
    if coding in ("FlateDecode", "Fl"):
        counts = [count_deflated(data, most)]
    elif coding in ("LZWDecode", "LZW"):
        counts = [count_lzw(data, most, widens_early) for widens_early in (True, False)]
    elif coding in ("RunLengthDecode", "RL"):
        counts = [count_packbits(data, most)]
    elif coding:
        return True
    slack = image.get_metadata().height + _SLACK  # a predictor takes a byte of each row
    return any(
        n_bytes is not None
        and (n_bytes >= most or any(size <= n_bytes <= size + slack for size in sizes))
        for n_bytes in counts
    )


def _sizes(image: Any) -> list[int]:
    """Returns how many bytes the pixels may have; PDFium tells the bits that it makes of them."""
    metadata = image.get_metadata()
    bits = _BITS.get(metadata.bits_per_pixel, (metadata.bits_per_pixel,))
    return [metadata.height * ((metadata.width * n + 7) // 8) for n in bits]


def _data(image: Any) -> bytes:
    return bytes(image.get_data())


def _is_drawn(image: Any) -> bool:
    from pypdfium2 import PdfiumError

    try:
        image.get_bitmap()
    except PdfiumError:
        return False
    return True


def _is_damaged_fax(image: Any) -> bool:
    data = bytes(image.get_data(decode_simple=True))
    pixels = image.get_bitmap().to_numpy()
    is_black = (pixels if pixels.ndim == 2 else pixels[..., 0]) < 128
    return not any(fax_agrees(data, np.asarray(is_black), *form) for form in _FAX_FORMS)
