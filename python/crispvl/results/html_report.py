"""A page and what was read from it, side by side, as one HTML file that needs no other."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from crispvl.results.document import Document
from crispvl.results.html import pieces, render
from crispvl.results.markdown import remarks
from crispvl.results.page import Page

MAX_SIDE_PX = 1600
"""Pages are shown scaled down to this size; boxes and tiles keep their places."""


def html_report(document: Document, images: Iterable[Image.Image]) -> str:
    """Returns an HTML file: per page the image with its tiles and boxes, text and timings.

    Every word is coloured by its confidence, from red to green. What the model wrote is shown as
    text, never as markup of its own.

    Args:
        document: What was read.
        images: The image of each page, in the document's order.
    """
    pairs = zip(document.pages, images, strict=True)
    pages = [_page(page, image) for page, image in pairs]
    n_pages = f"{len(pages)} page{'s' if len(pages) != 1 else ''}"
    model = [document.model.name] if document.model else []
    return render(
        "html_report.html.j2",
        title=Path(document.source).name or "image",
        source=document.source,
        summary=" · ".join([n_pages, *model, f"{document.timings.total_ms / 1000:,.1f} s"]),
        pages=pages,
    )


def _page(page: Page, image: Image.Image) -> dict[str, Any]:
    """Returns what the template shows of a page; places in the page's pixels."""
    columns, rows = page.grid
    return {
        "number": page.number,
        "width_px": page.width_px,
        "height_px": page.height_px,
        "image": data_address(image),
        "columns": [f"{page.width_px * i / columns:.1f}" for i in range(1, columns)],
        "rows": [f"{page.height_px * i / rows:.1f}" for i in range(1, rows)],
        "boxes": page.boxes,
        "lines": [
            {"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in line.quad), "text": line.text}
            for line in page.lines
            if line.quad is not None
        ],
        "remarks": remarks(page),
        "pieces": pieces(page, below=1.01),  # all words
        "facts": _facts(page),
    }


def _facts(page: Page) -> dict[str, str]:
    columns, rows = page.grid
    times = page.timings
    facts = {
        "confidence": f"{page.confidence:.1%}",
        "size": f"{page.width_px}×{page.height_px} px",
        "layout": page.layout,
        "tiles": (f"{columns}×{rows}, " if columns else "") + f"{page.n_tiles} encoded",
        "tokens": str(len(page.generation.ids)) if page.generation else "0",
        "decoder passes": f"{times.passes:.0f}",
        "tokens guessed": f"{times.guessed:.0f}",
        "image": f"{times.image_ms:,.0f} ms",
        "encode": f"{times.encode_ms:,.0f} ms",
        "prefill": f"{times.prefill_ms:,.0f} ms",
        "decode": f"{times.decode_ms:,.0f} ms",
    }
    if page.groundedness is not None:
        facts["groundedness"] = f"{page.groundedness:.2f} nats per token"
    return facts


def data_address(image: Image.Image) -> str:
    shown = image.copy()
    shown.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
