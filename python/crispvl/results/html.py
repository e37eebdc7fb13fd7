"""HTML files from templates, in which whatever a model wrote is text and never markup."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jinja2

from crispvl.results.markdown import remarks

if TYPE_CHECKING:
    from crispvl.results.page import DocumentLike, Page

_DOUBTFUL = 0.5
"""Words of less confidence are marked in a document's text."""


class Piece(NamedTuple):
    """A part of a page's text."""

    text: str
    percent: int | None
    """Confidence of a word that is to be marked by it; None for text that is not marked."""


def pieces(page: Page, below: float) -> Iterator[Piece]:
    """Yields a page's text, in which words of less confidence are pieces of their own."""
    text, end = page.text, 0
    for word in page.words:
        if word.confidence < below:
            yield Piece(text[end : word.start], None)
            yield Piece(word.text, round(100 * word.confidence))
            end = word.start + len(word.text)
    yield Piece(text[end:], None)


def to_html(document: DocumentLike) -> str:
    """Returns a whole HTML file: the text of each page, doubtful words marked, and the remarks."""
    pages = [
        {"number": page.number, "remarks": remarks(page), "pieces": pieces(page, _DOUBTFUL)}
        for page in document.pages
    ]
    return render("html_document.html.j2", title=document.source, pages=pages)


def render(template: str, **values: Any) -> str:
    """Returns a template of this folder with its values in place, all of them escaped."""
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
