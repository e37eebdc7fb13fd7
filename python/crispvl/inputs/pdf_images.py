"""The images on a PDF's page: where they are, and whether their data is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from crispvl.inputs.damage import fax_agrees, is_damaged_deflate, is_damaged_jpeg

_MAX_DEPTH = 8  # of forms within forms
_IMAGE, _FORM = 3, 5  # FPDF_PAGEOBJ_IMAGE and FPDF_PAGEOBJ_FORM of fpdf_edit.h
_FAX_FORMS = ((4, 0), (3, 0), (3, 1), (2, 0))
"""TIFF's compression and options; PDFium does not tell which of them an image has."""


def page_images(
    page: Any, form: Any = None, matrix: Any = None, depth: int = 0
) -> Iterator[tuple[Any, Any]]:
    """Yields each image, also of those within forms, with its matrix.

    Args:
        page: A ``pypdfium2.PdfPage``.
    """
    for part in page.get_objects(filter=(_IMAGE, _FORM), max_depth=1, form=form):
        placed = part.get_matrix() if matrix is None else part.get_matrix().multiply(matrix)
        if part.type == _IMAGE:
            yield part, placed
        elif depth < _MAX_DEPTH:
            yield from page_images(page, part.raw, placed, depth + 1)


def has_damaged_images(page: Any) -> bool:
    """Returns whether PDFium draws an image of the page that was made of damaged data."""
    return any(_is_damaged(image) for image, _ in page_images(page))


def _is_damaged(image: Any) -> bool:
    filters = image.get_filters()
    if filters[-1:] in (["DCTDecode"], ["DCT"]):
        return is_damaged_jpeg(bytes(image.get_data(decode_simple=True)))
    if filters[-1:] in (["CCITTFaxDecode"], ["CCF"]):
        return _is_damaged_fax(image)
    if filters[:1] in (["FlateDecode"], ["Fl"]):
        needed = _n_bytes(image) if len(filters) == 1 else 0
        return is_damaged_deflate(bytes(image.get_data()), needed)
    return False


def _is_damaged_fax(image: Any) -> bool:
    data = bytes(image.get_data(decode_simple=True))
    pixels = image.get_bitmap().to_numpy()
    is_black = (pixels if pixels.ndim == 2 else pixels[..., 0]) < 128
    return not any(fax_agrees(data, np.asarray(is_black), *form) for form in _FAX_FORMS)


def _n_bytes(image: Any) -> int:
    metadata = image.get_metadata()
    return int(metadata.height) * ((int(metadata.width) * int(metadata.bits_per_pixel) + 7) // 8)
