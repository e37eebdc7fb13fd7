"""hOCR: a page's text as HTML whose elements tell their places.

Source: the hOCR specification 1.2 (https://kba.github.io/hocr-spec/1.2/). Boxes are whole pixels;
lines and words that are turned have a ``poly`` as well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence

from crispvl._version import __version__
from crispvl.results.block_lines import (
    BlockLines,
    block_lines,
    box_of,
    numbered_pages,
    page_box,
)
from crispvl.results.lines import Line, Quad, Rectangle, is_upright
from crispvl.results.page import DocumentLike, Page


def to_hocr(documents: Sequence[DocumentLike]) -> str:
    """Returns a whole XHTML file, with an ``ocr_page`` per page of all documents.

    Where the places of lines are not known, since a page was not read by lines, they have its box.
    """
    body = "\n".join(_page(*numbered) for numbered in numbered_pages(documents))
    title = ", ".join(document.source for document in documents)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" '
        '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="en" lang="en">\n<head>\n'
        f"<title>{_escaped(title)}</title>\n"
        '<meta http-equiv="Content-Type" content="text/html;charset=utf-8"/>\n'
        f'<meta name="ocr-system" content="crispvl {__version__}"/>\n'
        '<meta name="ocr-capabilities" content="ocr_page ocr_carea ocr_par ocr_line ocrx_word '
        'ocrp_wconf"/>\n'
        f"</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _page(page_number: int, document: DocumentLike, page: Page) -> str:
    name = document.source.replace('"', "'")
    title = f'image "{name}"; {_bbox(page_box(page))}; ppageno {page_number - 1}'
    areas = "".join(
        _area(page, f"{page_number}_{number}", block)
        for number, block in enumerate(block_lines(page), start=1)
    )
    return (
        f'<div class="ocr_page" id="page_{page_number}" title="{_escaped(title)}">\n{areas}</div>'
    )


def _area(page: Page, name: str, block: BlockLines) -> str:
    place = _bbox(block.box)
    lines = "".join(_lines(page, name, block))
    return (
        f'<div class="ocr_carea" id="block_{name}" title="{place}">\n'
        f'<p class="ocr_par" id="par_{name}" title="{place}">\n{lines}</p>\n</div>\n'
    )


def _lines(page: Page, block: str, lines: BlockLines) -> Iterator[str]:
    for i_line, line in enumerate(lines.lines, start=1):
        name = f"{block}_{i_line}"
        words = " ".join(
            f'<span class="ocrx_word" id="word_{name}_{i_word}" '
            f'title="{_bbox(box_of(word, page))}{_poly(word.quad)}; '
            f'x_wconf {round(100 * word.confidence)}">{_escaped(word.text)}</span>'
            for i_word, word in enumerate(line.words, start=1)
        )
        title = f"{_bbox(box_of(line, page))}{_poly(line.quad)}{_angle(line)}"
        yield f'<span class="ocr_line" id="line_{name}" title="{title}">{words}</span>\n'


def _bbox(box: Rectangle) -> str:
    left, top = math.floor(box.left), math.floor(box.top)
    right, bottom = math.ceil(box.right), math.ceil(box.bottom)
    return f"bbox {max(0, left)} {max(0, top)} {max(0, right)} {max(0, bottom)}"


def _poly(quad: Quad | None) -> str:
    if quad is None or is_upright(quad):
        return ""
    return "; poly " + " ".join(f"{round(x)} {round(y)}" for x, y in quad)


def _angle(line: Line) -> str:
    """The counter-clockwise turn of a line's text, where it is turned by more than a degree."""
    if line.quad is None:
        return ""
    (x0, y0), (x1, y1), *_ = line.quad
    degrees = round(math.degrees(math.atan2(y0 - y1, x1 - x0))) % 360
    return f"; textangle {degrees}" if 1 < degrees < 359 else ""


def _escaped(text: str) -> str:
    """Returns a text for XML, which has no place for control characters."""
    return html.escape("".join(c if c.isprintable() else " " for c in text))
