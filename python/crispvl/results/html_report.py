"""A page and what was read from it, side by side, as one HTML file that needs no other."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from dataclasses import asdict

from PIL import Image

from crispvl.results.document import Document, Page
from crispvl.results.formats import marked_words, remarks

MAX_SIDE_PX = 1600
"""Pages are shown scaled down to this size; boxes and tiles keep their places."""

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem}section{display:flex;gap:1.5rem;
flex-wrap:wrap;margin-bottom:3rem}figure{position:relative;margin:0;flex:1 1 30rem}
figure img{width:100%;display:block;border:1px solid #bbb}svg{position:absolute;inset:0;
width:100%;height:100%}.tile{stroke:#06c;stroke-opacity:.5;stroke-dasharray:6 4}
.box{fill:#f80;fill-opacity:.15;stroke:#e60}.side{flex:1 1 25rem}pre{white-space:pre-wrap;
font:inherit;background:#fafafa;padding:.7rem}.remark{color:#a33}td{padding-right:1.5rem}
mark{background:hsl(calc(var(--p)*1.2) 90% 80%);color:inherit}
line,rect{vector-effect:non-scaling-stroke;stroke-width:1.5}
"""


def html_report(document: Document, images: Iterable[Image.Image]) -> str:
    """Returns an HTML file: per page the image with its tiles and boxes, text and timings.

    Every word is coloured by its confidence, from red to green. What the model wrote is shown as
    text, never as markup of its own.

    Args:
        document: What was read.
        images: The image of each page, in the document's order.
    """
    pairs = zip(document.pages, images, strict=True)
    body = "\n".join(_section(page, image) for page, image in pairs)
    title = html.escape(document.source)
    model = html.escape(document.model.name) if document.model else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style></head>\n<body>\n"
        f"<h1>{title}</h1>\n<p>{model}</p>\n{body}\n</body></html>\n"
    )


def _section(page: Page, image: Image.Image) -> str:
    notes = "".join(f'<p class="remark">{html.escape(line)}</p>\n' for line in remarks(page))
    return (
        f'<h2>Page {page.number}</h2>\n<section>\n<figure><img alt="page {page.number}" '
        f'src="{_data_uri(image)}">{_overlay(page)}</figure>\n<div class="side">\n{notes}'
        f"<pre>{marked_words(page, below=1.01)}</pre>\n{_facts(page)}</div>\n</section>"
    )


def _overlay(page: Page) -> str:
    """Returns an SVG in the page's pixels: lines between tiles, and boxes with their labels."""
    columns, rows = page.grid
    width, height = page.width_px, page.height_px
    shapes = [
        f'<line class="tile" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{height}"/>'
        for x in (width * i / columns for i in range(1, columns))
    ]
    shapes += [
        f'<line class="tile" x1="0" y1="{y:.1f}" x2="{width}" y2="{y:.1f}"/>'
        for y in (height * i / rows for i in range(1, rows))
    ]
    shapes += [
        f'<rect class="box" x="{box.left:.1f}" y="{box.top:.1f}" '
        f'width="{box.right - box.left:.1f}" height="{box.bottom - box.top:.1f}">'
        f"<title>{html.escape(box.label)}</title></rect>"
        for box in page.boxes
    ]
    return f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">{"".join(shapes)}</svg>'


def _facts(page: Page) -> str:
    columns, rows = page.grid
    facts = {
        "confidence": f"{page.confidence:.1%}",
        "size": f"{page.width_px}×{page.height_px} px",
        "tiles": f"{columns}×{rows}, {page.n_tiles} encoded",
        "tokens": str(len(page.generation.ids)) if page.generation else "0",
        **{
            name.removesuffix("_ms"): f"{value:,.0f} ms"
            for name, value in asdict(page.timings).items()
        },
    }
    if page.groundedness is not None:
        facts["groundedness"] = f"{page.groundedness:.2f} nats per token"
    rows_html = "".join(
        f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in facts.items()
    )
    return f"<table>{rows_html}</table>\n"


def _data_uri(image: Image.Image) -> str:
    shown = image.copy()
    shown.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX))
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
