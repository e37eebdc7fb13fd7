"""The formats that documents are written in, each declared once.

The command line, the server and whatever else writes results read this table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath
from typing import Literal, TypeAlias

from crispvl.options import Task
from crispvl.results.alto import to_alto
from crispvl.results.document import Document
from crispvl.results.hocr import to_hocr
from crispvl.results.tsv import to_tsv

Unit: TypeAlias = Literal["text", "page", "document", "documents"]
"""What is written at once: text as it is read, a page, a document, or all documents."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format.

    Attributes:
        suffix: Of its files.
        media_type: Its name in HTTP.
        unit: What is written at once.
        write: Makes a text of whole documents; None for what is no text.
        holds_one: Whether a file holds one document.
        task: What to ask a model for, where nothing is said.
        also_called: What others call it, or what comes nearest to it here.
    """

    suffix: str
    media_type: str
    unit: Unit
    write: Callable[[Sequence[Document]], str] | None
    holds_one: bool = False
    task: Task = "text"
    also_called: tuple[str, ...] = ()


def _each(write: Callable[[Document], str]) -> Callable[[Sequence[Document]], str]:
    return lambda documents: "".join(map(write, documents))


FORMATS: Mapping[str, Format] = {
    "text": Format(
        suffix=".txt",
        media_type="text/plain",
        unit="text",
        write=_each(str),
        also_called=("plain",),
    ),
    "markdown": Format(
        suffix=".md",
        media_type="text/markdown",
        unit="text",
        write=_each(Document.to_markdown),
        task="markdown",
    ),
    "html": Format(
        suffix=".html",
        media_type="text/html",
        unit="document",
        write=_each(Document.to_html),
        holds_one=True,
    ),
    "csv": Format(
        suffix=".csv",
        media_type="text/csv",
        unit="document",
        write=_each(Document.to_csv),
        task="table",
        also_called=("excel", "xls", "xlsx"),
    ),
    "json": Format(
        suffix=".json",
        media_type="application/json",
        unit="documents",
        write=_each(Document.to_json),
    ),
    "jsonl": Format(
        suffix=".jsonl",
        media_type="application/jsonl",
        unit="page",
        write=_each(Document.to_jsonl),
        also_called=("ndjson",),
    ),
    "hocr": Format(
        suffix=".hocr", media_type="application/xhtml+xml", unit="documents", write=to_hocr
    ),
    "alto": Format(suffix=".xml", media_type="application/xml", unit="documents", write=to_alto),
    "tsv": Format(
        suffix=".tsv", media_type="text/tab-separated-values", unit="documents", write=to_tsv
    ),
    "pdf": Format(
        suffix=".pdf",
        media_type="application/pdf",
        unit="document",
        write=None,  # `Document.to_pdf` lays the text upon the pages
        holds_one=True,
    ),
}
"""By the name that ``--format`` takes."""


def format_of_file(name: str) -> str | None:
    """Returns the format that the suffix of a file's name is of."""
    suffix = PurePath(name).suffix.lower()
    return next((key for key, form in FORMATS.items() if form.suffix == suffix), None)


def nearest_format(name: str) -> str | None:
    """Returns the format that is meant by a name that is none, such as a suffix or a slip."""
    names = {form.suffix.lstrip("."): key for key, form in FORMATS.items()}
    names |= {other: key for key, form in FORMATS.items() for other in (key, *form.also_called)}
    close = get_close_matches(name.lower().lstrip("."), names, n=1)
    return names[close[0]] if close else None
