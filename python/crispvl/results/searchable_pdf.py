"""Searchable PDF files: a document's pages with what was read from them as invisible text.

OCRmyPDF makes them, with `crispvl.integrations.ocrmypdf` as its plugin. Pages of a PDF stay as they
are, and a page that holds text already keeps it; images become pages of their own resolution, where
they tell a credible one.
"""

from __future__ import annotations

import importlib
import io
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from crispvl.errors import DocumentError, PasswordError
from crispvl.inputs.data_uri import decode_data_uri, is_data_uri
from crispvl.inputs.images import ImageLike
from crispvl.inputs.sources import is_pdf, open_source
from crispvl.inputs.urls import is_url
from crispvl.options import InputOptions
from crispvl.results.json_lines import to_jsonl
from crispvl.results.outputs import is_stream, whole_file
from crispvl.results.page import DocumentLike

DEFAULT_DPI = 200
"""Of images that do not tell their resolution."""

SCREEN_DPI = 96
"""What cameras and screens write without having measured a page; OCRmyPDF does not trust it."""

MAX_DPI = 10_000
"""Beyond all scanners."""


def write_pdf(
    document: DocumentLike, source: ImageLike, output: Path, password: str | None = None
) -> None:
    """Writes the searchable PDF of a document; see `Document.to_pdf`.

    Raises:
        ImportError: OCRmyPDF is not installed.
        FileNotFoundError: The source is not there any more.
        ValueError: The source is a web address.
        DocumentError: OCRmyPDF cannot make a PDF of it.
    """
    ocrmypdf = _import("ocrmypdf")
    with tempfile.TemporaryDirectory(prefix="crispvl-") as folder:
        pages = Path(folder) / "pages.pdf"
        records = Path(folder) / "records.jsonl"
        made = Path(folder) / "made.pdf"
        _write_pages(source, pages, password)
        records.write_text(to_jsonl(document), "utf-8")
        numbers = [page.number for page in document.pages if page.text]
        if numbers:
            _run(ocrmypdf, pages, made, ",".join(map(str, numbers)), records)
        else:
            made = pages
        with whole_file(output) as stream:
            stream.write(made.read_bytes())  # the folders may lie on different disks


def _run(ocrmypdf: Any, pages: Path, output: Path, numbers: str, records: Path) -> None:
    try:
        ocrmypdf.ocr(
            pages,
            output,
            plugins=["crispvl.integrations.ocrmypdf"],
            crispvl_records=str(records),
            pages=numbers,
            mode="skip",  # text that a page already has is better than what is read
            output_type="pdf",
            rasterizer="pypdfium",
            optimize=0,
            jobs=1,
            progress_bar=False,
        )
    except ocrmypdf.ExitCodeException as error:
        raise DocumentError(
            f"[{pages.name}] a PDF that OCRmyPDF can work on is expected; found "
            f"{str(error).strip() or type(error).__name__}; repair it, for instance with qpdf"
        ) from error


def _write_pages(source: ImageLike, path: Path, password: str | None) -> None:
    """Writes a document as a PDF that is not encrypted."""
    whole = _whole(source)
    if not isinstance(whole, (Path, bytes)) or not is_pdf(whole):
        path.write_bytes(_images_as_pdf(whole))
        return
    pikepdf = _import("pikepdf")
    try:
        opened = whole if isinstance(whole, Path) else io.BytesIO(whole)
        with pikepdf.open(opened, password=password or "") as pdf:
            pdf.save(path, encryption=False)
    except pikepdf.PasswordError as error:
        raise PasswordError(
            "[pdf] the document's password is expected; another or none was given; pass password="
        ) from error
    except pikepdf.PdfError as error:
        raise DocumentError(
            f"[pdf] a complete PDF is expected; found a damaged one ({error}); repair it"
        ) from error


def _whole(source: Any) -> Any:
    """Returns a path, the bytes of a file, or a picture in memory."""
    if isinstance(source, str) and is_url(source):
        raise ValueError(
            f"[{source}] a file is expected; found a web address; download it, and pass source="
        )
    if isinstance(source, str) and is_data_uri(source):
        return decode_data_uri(source)
    if isinstance(source, (str, os.PathLike)):
        if is_stream(Path(source)):
            raise ValueError(
                f"[{source}] a file that can be read again is expected; found a fifo or a device; "
                "read its bytes once, and pass them as source="
            )
        return Path(source)
    if hasattr(source, "read"):
        return source.read()
    return bytes(source) if isinstance(source, (bytearray, memoryview)) else source


def _images_as_pdf(source: ImageLike) -> bytes:
    img2pdf = _import("img2pdf")
    pictures = []
    with open_source(source, InputOptions()) as opened:
        for page in opened.pages():
            buffer = io.BytesIO()
            picture = page.load()
            picture.save(buffer, "PNG", dpi=_dpi(picture))
            pictures.append(buffer.getvalue())
    data: bytes = img2pdf.convert(pictures)
    return data


def _dpi(picture: Image.Image) -> tuple[float, float]:
    """Returns the resolution of an image in x and y."""
    try:
        x, y = (float(n) for n in picture.info["dpi"])
    except (ArithmeticError, KeyError, TypeError, ValueError):  # none, or a fraction such as 0/0
        return DEFAULT_DPI, DEFAULT_DPI
    if min(x, y) > SCREEN_DPI and max(x, y) <= MAX_DPI:
        return x, y
    return DEFAULT_DPI, DEFAULT_DPI


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            "[pdf] the package ocrmypdf, 17 or newer, is expected; it is not installed; run "
            "pip install 'crispvl[ocrmypdf]'"
        ) from error
