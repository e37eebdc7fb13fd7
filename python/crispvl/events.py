"""What happens while documents are read, page after page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from crispvl.results.document import Document
from crispvl.results.lines import Line, Quad
from crispvl.results.page import Page


@dataclass(frozen=True, kw_only=True)
class PageStarted:
    """A page is going to be loaded."""

    number: int
    """Of the page in its document, counted from 1."""
    name: str
    i_page: int
    """How many of the pages asked for came before it."""
    n_pages: int
    """How many pages were asked for."""


@dataclass(frozen=True, kw_only=True)
class TilesEncoded:
    """The encoder has done some of a page's tiles. Only callbacks get it.

    Attributes:
        n_tiles: As many as are known by now; doubtful lines are shown again on further ones.
    """

    number: int
    n_done: int
    n_tiles: int


@dataclass(frozen=True, kw_only=True)
class LinesFound:
    """The lines of a page were found, before any of them is read. Only callbacks get it."""

    number: int
    quads: tuple[Quad, ...]
    """In reading order."""


@dataclass(frozen=True, kw_only=True)
class LineRead:
    """The final reading of a line, with its place. Only callbacks get it."""

    number: int
    line: Line


@dataclass(frozen=True, kw_only=True)
class TextRead:
    """Text was written, in whole characters; no later event takes it back."""

    number: int
    text: str
    n_tokens: int
    """Tokens of the page so far."""


@dataclass(frozen=True, kw_only=True)
class PageDone:
    """A page was read to its end, to a limit, or to its error."""

    page: Page


@dataclass(frozen=True, kw_only=True)
class DocumentDone:
    """The last page of a document was read, or it could not be opened; only among several."""

    document: Document


Event: TypeAlias = PageStarted | TilesEncoded | LinesFound | LineRead | TextRead | PageDone
