"""Searchable PDF files: a document's pages with what was read from them as invisible text.

OCRmyPDF makes them, with `crispvl.integrations.ocrmypdf` as its plugin. Pages of a PDF stay as they
are, and a page that holds its text already keeps it; images become pages at their own
resolution, if they state a plausible one.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from PIL import Image

from crispvl.errors import DocumentError
from crispvl.extras import need
from crispvl.held_signals import held_signals
from crispvl.inputs.data_uri import decode_data_uri, is_data_uri
from crispvl.inputs.images import ImageLike, read_file, source_name
from crispvl.inputs.pdf import POINTS_PER_INCH, PdfFile
from crispvl.inputs.pipes import is_stream
from crispvl.inputs.sources import is_pdf, open_source
from crispvl.inputs.urls import is_url
from crispvl.options import InputOptions
from crispvl.results.json_lines import to_jsonl
from crispvl.results.outputs import concerns_all, whole_file
from crispvl.results.page import DocumentLike
from crispvl.results.page_boxes import Boxes, narrow_boxes, restore_boxes
from crispvl.thread_stack import require_stack

DEFAULT_DPI = 200
"""Of images that do not tell their resolution."""

SCREEN_DPI = 96
"""What cameras and screens write without having measured a page; OCRmyPDF does not trust it."""

MAX_DPI = 10_000
"""Beyond all scanners."""

MIN_SIDE_PT, MAX_SIDE_PT = 3, 14_400
"""Sides of a PDF's page (PDF 1.7, annex C.2); an image beyond them has its resolution changed."""

STRAY = 0.25
"""A page that holds less text than this part of what was read, as a stamp or a page number is, gets
the text that was read; one that holds more keeps its own."""


_PLUGINS = "crispvl.integrations.ocrmypdf", "crispvl.integrations.ocrmypdf_serial"


def write_pdf(
    document: DocumentLike, source: ImageLike, output: Path, password: str | None = None
) -> tuple[int, ...]:
    """Writes the searchable PDF of a document; see `Document.to_pdf`.

    Returns:
        The numbers of the pages that held text already and keep it.

    Raises:
        ImportError: OCRmyPDF is not installed.
        FileNotFoundError: The source no longer exists.
        ValueError: The source is a web address.
        DocumentError: It is damaged, or lacks a page that was read, or OCRmyPDF cannot make a
            PDF of it.
    """
    require_stack()
    ocrmypdf = need("ocrmypdf", "pdf")
    with _temporary_folder() as folder:
        pages, records, made = (
            folder / name for name in ("pages.pdf", "records.jsonl", "made.pdf")
        )
        boxes = _write_pages(source, pages, password)
        records.write_text(to_jsonl(document), "utf-8", "replace")  # half surrogates
        kept, mode = _held_already(pages, document, source_name(source, "pdf"))
        numbers = [page.number for page in document.pages if page.text and page.number not in kept]
        if numbers:
            _run(ocrmypdf, pages, made, numbers, records, mode)
        else:
            made = pages
        if boxes:
            restore_boxes(made, boxes)
        with whole_file(output) as stream:
            stream.write(made.read_bytes())  # the folders may be on different disks
    return kept


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = tempfile.TemporaryDirectory(prefix="crispvl-")
    try:
        yield Path(folder.name)
    finally:
        with held_signals():
            folder.cleanup()


def _held_already(path: Path, document: DocumentLike, where: str) -> tuple[tuple[int, ...], str]:
    """Returns the numbers of the pages that keep their own text, and OCRmyPDF's mode.

    Raises:
        DocumentError: The file lacks pages that were read.
    """
    kept: list[int] = []
    stray: list[int] = []
    pdf = PdfFile(path, where)
    try:
        for page in document.pages:
            if not page.text:
                continue
            if page.number > pdf.n_pages:
                raise DocumentError(
                    f"[{where}] expected page {page.number}, which was read; found a file that "
                    f"holds {pdf.n_pages}; pass what was read as source="
                )
            held = pdf.text(page.number)
            if held is not None:
                is_stray = _n_letters(held) < STRAY * _n_letters(page.text)
                (stray if is_stray else kept).append(page.number)
    finally:
        pdf.close()
    if pdf.has_form:  # OCRmyPDF adds no text to a page with text where there is a form
        return tuple(sorted(kept + stray)), "skip"
    return tuple(kept), "redo" if stray else "skip"


def _n_letters(text: str) -> int:
    return len("".join(text.split()))


def _run(
    ocrmypdf: Any, pages: Path, output: Path, numbers: list[int], records: Path, mode: str
) -> None:
    try:
        # pikepdf leaves a stream of its own as sys.stderr where it checks a file.
        with _without_advice(), redirect_stderr(sys.stderr):
            ocrmypdf.ocr(
                pages,
                output,
                plugins=list(_PLUGINS),
                crispvl_records=str(records),
                pages=",".join(map(str, numbers)),
                mode=mode,
                output_type="pdf",
                rasterizer="pypdfium",
                optimize=0,
                jobs=1,
                progress_bar=False,
            )
    except Exception as error:  # its own, and what the libraries beneath it raise
        is_full = isinstance(error, OSError) and concerns_all(error)
        if is_full or isinstance(error, MemoryError):  # nothing is wrong with the PDF
            raise
        raise DocumentError(
            f"[{pages.name}] expected a PDF that OCRmyPDF can work on; found "
            f"{' '.join(str(error).split()) or type(error).__name__}; {_advice(ocrmypdf, error)}"
        ) from error


def _advice(ocrmypdf: Any, error: Exception) -> str:
    if isinstance(error, ocrmypdf.exceptions.DigitalSignatureError):
        return "use a copy without the signature, or write another format"
    return "repair it, for instance with qpdf"


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keeps OCRmyPDF's advice about its own options from the terminal; its errors are raised."""
    logger = logging.getLogger("ocrmypdf")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _write_pages(source: ImageLike, path: Path, password: str | None) -> Boxes:
    """Writes a document as a PDF that is not encrypted, of what viewers show of its pages."""
    whole = _whole(source)
    if not isinstance(whole, (Path, bytes)) or not is_pdf(whole):
        path.write_bytes(_images_as_pdf(whole))
        return {}
    where = source_name(source, "pdf")
    PdfFile(whole, where, password).close()  # qpdf makes something of what nobody could read
    pikepdf = need("pikepdf", "pdf")
    try:
        opened = whole if isinstance(whole, Path) else io.BytesIO(whole)
        with pikepdf.open(opened, password=password or "") as pdf:
            boxes = narrow_boxes(pdf)
            pdf.save(path, encryption=False)
            return boxes
    except (MemoryError, OSError):  # nothing is wrong with the PDF
        raise
    except Exception as error:  # pikepdf has one for each of what it stumbles over
        reason = str(error).rpartition(": ")[2]  # without the name of a file or an object
        raise DocumentError(
            f"[{where}] expected a PDF that can be written again; found a damaged one "
            f"({reason}); repair it, for instance with qpdf, and read it again"
        ) from error


def _whole(source: Any) -> Any:
    """Returns a path, the bytes of a file, or a picture in memory."""
    if isinstance(source, str) and is_url(source):
        raise ValueError(
            f"[{source}] expected a file; found a web address; download it, and pass source="
        )
    if isinstance(source, str) and is_data_uri(source):
        return decode_data_uri(source)
    if isinstance(source, (str, os.PathLike)):
        if is_stream(Path(source)):
            raise ValueError(
                f"[{source}] expected a file that can be read again; found a fifo or a device; "
                "read its bytes once, and pass them as source="
            )
        return Path(source)
    if hasattr(source, "read"):
        return read_file(source)
    return bytes(source) if isinstance(source, (bytearray, memoryview)) else source


def _images_as_pdf(source: ImageLike) -> bytes:
    img2pdf = need("img2pdf", "pdf")
    pictures = []
    with open_source(source, InputOptions()) as opened:
        for page in opened.pages():
            buffer = io.BytesIO()
            picture = page.load()
            picture.save(buffer, "PNG", dpi=_fitting_dpi(picture))
            pictures.append(buffer.getvalue())
    try:
        data: bytes = img2pdf.convert(pictures)
    except Exception as error:  # it has an exception for everything that it does not like
        raise DocumentError(
            f"[pdf] expected images that make PDF pages; found {' '.join(str(error).split())}; "
            "change their size or resolution"
        ) from error
    return data


def _fitting_dpi(picture: Image.Image) -> tuple[float, float]:
    """Returns the resolution at which an image makes a page of a size that PDF allows."""
    x, y = _dpi(picture)
    sides_pt = picture.width / x * POINTS_PER_INCH, picture.height / y * POINTS_PER_INCH
    enlarged = max(1.0, _ROOM * MIN_SIDE_PT / min(sides_pt))
    shrunk = max(1.0, _ROOM * max(sides_pt) * enlarged / MAX_SIDE_PT)
    return x / enlarged * shrunk, y / enlarged * shrunk


def _dpi(picture: Image.Image) -> tuple[float, float]:
    """Returns the resolution of an image in x and y."""
    try:
        x, y = (float(n) for n in picture.info["dpi"])
    except (ArithmeticError, KeyError, TypeError, ValueError):  # none, or a fraction such as 0/0
        return DEFAULT_DPI, DEFAULT_DPI
    if min(x, y) > SCREEN_DPI and max(x, y) <= MAX_DPI:
        return x, y
    return DEFAULT_DPI, DEFAULT_DPI


_ROOM = 1.001  # PNG tells resolutions in whole pixels per metre
