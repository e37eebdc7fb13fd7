"""A plugin for OCRmyPDF: crispvl reads the pages, OCRmyPDF lays the text invisibly upon them.

    ocrmypdf --plugin crispvl.integrations.ocrmypdf --crispvl-model m.gguf scan.pdf searchable.pdf

With ``--crispvl-records pages.jsonl`` nothing is read: the texts are those that
``crispvl recognize --format jsonl`` wrote for this document; among the records of several documents
it is found by its path. Tesseract need not be installed.
Lines are put where they were read; of pages that were not read by lines, where
`crispvl.results.text_lines` finds ink for them.
"""

from __future__ import annotations

import json
import logging
import os
from argparse import ArgumentParser
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

from ocrmypdf import BoundingBox, OcrClass, OcrElement, OcrEngine, OrientationConfidence, hookimpl
from ocrmypdf.exceptions import BadArgsError
from PIL import Image
from pydantic import BaseModel

from crispvl._version import __version__
from crispvl.inputs.pdf import POINTS_PER_INCH, PdfFile
from crispvl.inputs.text_files import read_text
from crispvl.inputs.utf8 import path_name
from crispvl.integrations import glyphless_font
from crispvl.integrations.placed_text import line_elements, moved, placed_line, recorded_lines
from crispvl.integrations.word_elements import word_elements
from crispvl.reading.ocr import CrispOCR
from crispvl.results.page_boxes import Box, shown_parts
from crispvl.results.text_lines import TextBox, place_lines, place_words

_log = logging.getLogger(__name__)
_MOST_HEIGHT = 16  # of a line, in widths of its characters
_ORIGIN = "origin.pdf"  # OCRmyPDF's copy of the document, beside the images of its pages
_TESSERACT = "ocrmypdf.builtin_plugins.tesseract_ocr"

Part: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom in px of a page's image."""


class CrispVLOptions(BaseModel):
    """The plugin's options; OCRmyPDF prefixes their names with ``crispvl``."""

    model: str | None = None
    mmproj: str | None = None
    device: str = "auto"
    threads: int | None = None
    max_tiles: int | None = None
    records: str | None = None


class CrispVLEngine(OcrEngine):
    """Reads page images with the model that the options name. Pages take turns."""

    @staticmethod
    def version() -> str:
        return __version__

    @staticmethod
    def creator_tag(options: Any) -> str:
        return f"crispvl {__version__}"

    def __str__(self) -> str:
        return f"crispvl {__version__}"

    @staticmethod
    def languages(options: Any) -> set[str]:
        return set(options.languages)  # a vision-language model needs none named

    @staticmethod
    def get_orientation(input_file: Path, options: Any) -> OrientationConfidence:
        return OrientationConfidence(angle=0, confidence=0.0)  # pages are taken as they are

    @staticmethod
    def supports_generate_ocr() -> bool:
        return True

    @staticmethod
    def generate_ocr(
        input_file: Path, options: Any, page_number: int = 0
    ) -> tuple[OcrElement, str]:
        chosen: CrispVLOptions = options.crispvl
        with Image.open(input_file) as opened:
            image = opened.convert("RGB")
            dpi = float(opened.info.get("dpi", (72, 72))[0])
        part: Part = (0, 0, image.width, image.height)  # that was read
        if chosen.records is None:
            read = _reader(chosen.model_dump_json()).recognize(image).pages[0]
            placed = [line for line in map(placed_line, read.lines) if line is not None]
            text, width_px = read.text, read.width_px
        else:
            part = _shown_part(input_file.parent / _ORIGIN, page_number, image)
            record = _recorded(chosen.records, str(options.input_file)).get(page_number + 1)
            if record is None:
                _log.warning("%s holds no text of page %d", chosen.records, page_number + 1)
            known = record or {}
            placed = recorded_lines(known)
            text, width_px = known.get("text", ""), known.get("width_px") or part[2] - part[0]
        if placed:
            scale = (part[2] - part[0]) / width_px
            whole = [moved(line, scale, part[0], part[1]) for line in placed]
            lines = [element for line in whole for element in line_elements(line)]
        else:
            lines = [_line(line, part) for line in place_lines(text, image.crop(part))]
        page = OcrElement(
            ocr_class=OcrClass.PAGE,
            bbox=BoundingBox(0, 0, image.width, image.height),
            children=lines,
            dpi=dpi,
            page_number=page_number,
        )
        return page, text

    @staticmethod
    def generate_hocr(input_file: Path, output_hocr: Path, output_text: Path, options: Any) -> None:
        raise NotImplementedError(
            "[ocrmypdf] expected the renderer fpdf2; found hocr; use --pdf-renderer fpdf2"
        )

    @staticmethod
    def generate_pdf(input_file: Path, output_pdf: Path, output_text: Path, options: Any) -> None:
        raise NotImplementedError(
            "[ocrmypdf] expected the renderer fpdf2; found sandwich; use --pdf-renderer fpdf2"
        )


def _shown_part(document: Path, i_page: int, image: Image.Image) -> Part:
    """Returns what viewers show of a page, which was read, of its image, which has all of it."""
    parts = _shown_parts(document)
    if i_page >= len(parts):
        return 0, 0, image.width, image.height
    left, top, right, bottom = parts[i_page]
    x, y = (
        min(round(left * image.width), image.width - 1),
        min(round(top * image.height), image.height - 1),
    )
    return x, y, max(round(right * image.width), x + 1), max(round(bottom * image.height), y + 1)


@lru_cache(maxsize=1)
def _shown_parts(document: Path) -> list[Box]:
    return shown_parts(document) if document.exists() else []


def _line(line: TextBox, part: Part) -> OcrElement:
    left, top = part[:2]
    line = TextBox(
        line.text, line.left + left, line.top + top, line.right + left, line.bottom + top
    )
    # OCRmyPDF drops a line that is much too high for its text, such as one spread over a page.
    width, height = line.right - line.left, line.bottom - line.top
    highest = max(width, _MOST_HEIGHT * width / len(line.text))
    if height > highest:
        line = replace(line, top=line.bottom - highest)
    words = [part for word in place_words(line) for part in word_elements(word.text, _box(word))]
    return OcrElement(ocr_class=OcrClass.LINE, bbox=_box(line), children=words)


def _box(box: TextBox) -> BoundingBox:
    return BoundingBox(box.left, box.top, box.right, box.bottom)


@lru_cache(maxsize=1)
def _reader(options: str) -> CrispOCR:
    """Returns the reader for options as JSON; all pages of a document share it."""
    chosen = CrispVLOptions.model_validate_json(options)
    return CrispOCR(
        chosen.model, chosen.mmproj, chosen.device, chosen.threads, max_tiles=chosen.max_tiles
    )


@lru_cache(maxsize=1)
def _recorded(path: str, document: str) -> dict[int, dict[str, Any]]:
    """Returns the record of each page that was read of a document, by the page's number.

    Raises:
        BadArgsError: Nothing of the kind is in the file, or several documents and not this one.
    """
    try:
        lines = read_text(path).split("\n")  # a text may hold other line breaks
        records = [json.loads(line) for line in lines if line]
        sources = {record.get("source") for record in records}
        if len(sources) > 1:
            sources = {source for source in sources if _is_same(source, document)}
        found = {
            record["number"]: {**record, "text": record["text"]}
            for record in records
            if record.get("source") in sources and record["number"] and not record.get("error")
        }
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise BadArgsError(
            "[--crispvl-records] expected the output of crispvl recognize --format jsonl; found "
            f"'{path}' ({error!r}); name another file"
        ) from error
    if not sources:
        raise BadArgsError(
            f"[--crispvl-records] expected records of '{document}'; found those of several other "
            f"documents in '{path}'; name the document as it was named when it was read"
        )
    return found


def _is_same(source: str | None, document: str) -> bool:
    return source is not None and os.path.abspath(source) == os.path.abspath(path_name(document))


@hookimpl
def initialize(plugin_manager: Any) -> None:
    """Takes Tesseract's checks away, but not its options, which OCRmyPDF asks for anyway."""
    glyphless_font.install()
    tesseract = plugin_manager.get_plugin(_TESSERACT)
    if tesseract is None:
        return
    plugin_manager.unregister(tesseract)

    class Options:
        add_options = staticmethod(tesseract.add_options)
        register_options = staticmethod(tesseract.register_options)

    plugin_manager.register(Options(), _TESSERACT)


@hookimpl
def add_options(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("crispvl")
    group.add_argument(
        "--crispvl-model", metavar="FILE", help="GGUF file, or a name on the hub; else the bundled"
    )
    group.add_argument("--crispvl-mmproj", metavar="FILE", help="projector of a model in two files")
    group.add_argument("--crispvl-device", metavar="DEVICE", help="auto, cpu, cuda, metal, vulkan")
    group.add_argument("--crispvl-threads", metavar="N", type=int, help="CPU threads")
    group.add_argument("--crispvl-max-tiles", metavar="N", type=int, help="most tiles per page")
    group.add_argument(
        "--crispvl-records", metavar="FILE", help="take the texts from these JSON Lines instead"
    )


@hookimpl
def register_options() -> dict[str, type[BaseModel]]:
    return {"crispvl": CrispVLOptions}


@hookimpl
def check_options(options: Any) -> None:
    options.use_threads = True  # so that all pages share one model in memory
    if options.crispvl.records is not None:
        _recorded(options.crispvl.records, str(options.input_file))  # refused before any work


@hookimpl
def rasterize_pdf_page(
    input_file: Path,
    output_file: Path,
    raster_device: str,
    raster_dpi: Any,
    pageno: int,
    page_dpi: Any,
    rotation: int | None,
    options: Any,
    use_cropbox: bool,
) -> Path | None:
    """Draws a page with its form fields, which OCRmyPDF's own way with PDFium leaves out.

    Without them the lines of a form would be put where its other lines are.
    """
    if options is not None and options.rasterizer == "ghostscript":
        return None
    pdf = PdfFile(input_file, str(input_file))
    try:
        # OCRmyPDF counts degrees against the clock.
        scale = raster_dpi.to_scalar() / POINTS_PER_INCH
        image = pdf.draw(pageno, scale, -(rotation or 0), media_box=not use_cropbox)
    finally:
        pdf.close()
    mode = _RASTER_MODES.get(raster_device.lower(), "RGB")
    dpi = page_dpi or raster_dpi
    form = "JPEG" if raster_device.lower().startswith("jp") else "PNG"
    image.convert(mode).save(output_file, form, dpi=(float(dpi.x), float(dpi.y)))
    return output_file


_RASTER_MODES = {"pngmono": "1", "pngmonod": "1", "pnggray": "L", "jpeggray": "L", "png256": "P"}


@hookimpl
def get_ocr_engine(options: Any) -> OcrEngine | None:
    chosen = "auto" if options is None else options.ocr_engine
    return CrispVLEngine() if chosen == "auto" else None
