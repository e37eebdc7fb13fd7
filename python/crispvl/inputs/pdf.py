"""PDF documents, rendered page by page through pypdfium2.

PDFium is not thread-safe, so every call into it happens under one lock, held for one page at most.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from PIL import Image

from crispvl.errors import DocumentError, PasswordError
from crispvl.inputs.damage import DAMAGED
from crispvl.inputs.pdf_images import has_damaged_images
from crispvl.inputs.pdf_scale import image_scale, may_have_user_units, user_unit
from crispvl.thread_stack import require_stack

POINTS_PER_INCH = 72

MAX_PAGE_PIXELS = 40_000_000
"""Most pixels of a rendered page: a poster is rendered at a lower dpi rather than refused."""

_PASSWORD_ERROR = 4  # FPDF_ERR_PASSWORD of fpdfview.h
_EVERYTHING = (-1e9, -1e9, 1e9, 1e9)  # PDFium takes of it what is in the media box
_TEXT = 1  # FPDF_PAGEOBJ_TEXT of fpdf_edit.h
_LOCK = threading.RLock()


class PdfFile:
    """An open PDF.

    Args:
        source: Path, or the file's bytes.
        where: What the document is called in error messages.
        password: Of an encrypted document.

    Raises:
        PasswordError: The document is encrypted, and the password is missing or wrong.
        DocumentError: The file is damaged, or holds no page.
    """

    def __init__(self, source: Path | bytes, where: str, password: str | None = None) -> None:
        import pypdfium2

        require_stack()
        self._where = where
        self._error: type[Exception] = pypdfium2.PdfiumError
        with _LOCK:
            try:
                self._pdf: Any = pypdfium2.PdfDocument(source, password=password)
                self._pdf.init_forms()
                self.has_form: bool = self._pdf.formenv is not None
                self.n_pages = len(self._pdf)
            except pypdfium2.PdfiumError as error:
                raise self._describe(error, password) from error
        self._has_units = may_have_user_units(source)
        if self.n_pages == 0:
            self.close()
            raise DocumentError(f"[{where}] expected at least one page; found none; check the file")

    def render(self, number: int, dpi: int) -> Image.Image:
        """Returns a page, counted from 1, as RGB; form fields and annotations are drawn.

        A page that images fill has at least their resolution, whatever the dpi. Its ``info`` says
        whether the data of one is damaged.

        Raises:
            DocumentError: The page is damaged.
        """
        damaged = False

        def prepare(page: Any) -> float:
            nonlocal damaged
            with suppress(self._error):  # what PDFium can draw, it cannot always take apart
                damaged = has_damaged_images(page)
            return self._scale(page, number - 1, dpi)

        picture = self._drawn(number, prepare)
        if damaged:
            picture.info[DAMAGED] = True
        return picture

    def draw(
        self, number: int, scale: float, rotation: int = 0, media_box: bool = False
    ) -> Image.Image:
        """Returns a page, counted from 1, as `render` does, at a scale of pixels per point.

        Args:
            number: The page.
            scale: Pixels per point.
            rotation: Degrees, clockwise, by which it is shown instead of by its own.
            media_box: Show all of it, not the part that viewers show.

        Raises:
            DocumentError: The page is damaged.
        """

        def prepare(page: Any) -> float:
            if rotation:
                page.set_rotation(rotation % 360)
            if media_box:
                page.set_cropbox(*_EVERYTHING)
            return scale

        return self._drawn(number, prepare)

    def _drawn(self, number: int, prepare: Callable[[Any], float]) -> Image.Image:
        """Draws a page at the scale that a function of it returns."""
        require_stack()
        try:
            with (
                _LOCK,
                closing(self._pdf[number - 1]) as page,
                closing(page.render(scale=prepare(page))) as bitmap,
            ):
                image: Image.Image = bitmap.to_pil().convert("RGB")
        except (self._error, ValueError, OverflowError) as error:
            raise DocumentError(
                f"[{self._where}, page {number}] expected a page that can be drawn; found a "
                f"damaged one ({error}); repair the file, for instance with qpdf"
            ) from error
        return image

    def text(self, number: int) -> str | None:
        """Returns the text that a page, counted from 1, holds already.

        None where it has nothing of the kind, not even a space, or is damaged.
        """
        require_stack()
        try:
            with (
                _LOCK,
                closing(self._pdf[number - 1]) as page,
                closing(page.get_textpage()) as held,
            ):
                text: str = held.get_text_bounded()
                return text if any(page.get_objects(filter=(_TEXT,))) else None
        except self._error:
            return None

    def _scale(self, page: Any, i_page: int, dpi: int) -> float:
        """Returns pixels per point: as many as asked for, and as its images have."""
        scale = dpi / POINTS_PER_INCH
        with suppress(self._error):  # what PDFium can draw, it cannot always take apart
            scale *= user_unit(self._pdf, i_page) if self._has_units else 1.0
        with suppress(self._error):
            scale = max(scale, image_scale(self._pdf, i_page, page))
        width, height = page.get_size()  # points
        n_pixels = width * height * scale**2
        if n_pixels <= MAX_PAGE_PIXELS:
            return scale
        return scale * math.sqrt(MAX_PAGE_PIXELS / n_pixels)

    def close(self) -> None:
        """Lets go of the file."""
        with _LOCK:
            self._pdf.close()

    def _describe(self, error: Any, password: str | None) -> DocumentError:
        if error.err_code == _PASSWORD_ERROR:
            found = "none" if password is None else "another"
            return PasswordError(
                f"[{self._where}] expected the document's password; found {found}; pass "
                "password=, or --password"
            )
        return DocumentError(
            f"[{self._where}] expected a complete PDF; found a damaged one ({error}); save or "
            "download it again"
        )
