"""The page of `crispvl serve` with one document in it, as one HTML file that needs no other."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from crispvl import web
from crispvl.results.document import Document
from crispvl.results.formats import FORMATS

MAX_SIDE_PX = 1600
"""Pages are shown scaled down to this size; lines, boxes and tiles keep their places."""

SAVED_AS = ("text", "markdown", "json", "hocr", "alto")
"""What the file can be saved as from the browser; a searchable PDF would need the original."""


def html_report(document: Document, images: Iterable[Image.Image]) -> str:
    """Returns an HTML file: per page the image with its lines, tiles and boxes, text and timings.

    Lines and their text point at each other, and doubtful words are coloured. What the model wrote
    is shown as text, never as markup of its own.

    Args:
        document: What was read.
        images: The image of each page, in the document's order.
    """
    pages = [
        {**page.to_dict(), "image": data_address(image)}
        for page, image in zip(document.pages, images, strict=True)
    ]
    written = {name: FORMATS[name].write for name in SAVED_AS}
    saved = {name: write([document]) for name, write in written.items() if write is not None}
    title = Path(document.source).name or "image"
    return web.document_page(title, {**document.to_dict(), "pages": pages, "files": saved})


def data_address(image: Image.Image) -> str:
    """Returns a picture as a ``data:`` address, of at most `MAX_SIDE_PX`."""
    shown = image.copy()
    shown.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
