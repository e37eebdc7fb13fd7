"""``/v1/ocr``: a document in, what it says out, all at once or page by page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BeforeValidator, Field

from crispvl.server.wire.common import JsonObject, Reading, Reply, Sampling, Wire

OutputFormat = Literal[
    "text", "markdown", "html", "csv", "json", "jsonl", "hocr", "alto", "tsv", "pdf"
]
"""The names of `crispvl.results.formats`."""


class OcrFields(Sampling, Reading):
    """What may be said about a document, in JSON, in a form or behind the path's question mark."""

    prompt: str | None = Field(None, max_length=100_000)
    """What to ask of each page, instead of the usual prompt."""
    format: OutputFormat = "json"
    preview: bool = False
    """Whether events hold the pages as pictures."""
    keep: bool = False
    """Whether the document can be had in other formats for half an hour, by the ``id`` of the
    answer, which its header ``x-document-id`` tells too."""


class DocumentAddress(Wire):
    """A document by its address, in any of the ways that other interfaces name it."""

    type: str | None = None
    url: str = Field(validation_alias=AliasChoices("document_url", "image_url", "url", "file_data"))


def _address(value: Any) -> Any:
    """Takes a bare address, and OpenAI's nested ways to write it."""
    if isinstance(value, str):
        return {"url": value}
    if isinstance(value, dict):
        inner = value.get("image_url") or value.get("file")
        return inner if isinstance(inner, dict) else value
    return value


class OcrRequest(OcrFields):
    document: Annotated[DocumentAddress, BeforeValidator(_address)]
    """``data:`` with a file of any kind that crispvl reads, or an address that is allowed."""


class OcrDimensions(Reply):
    width: int
    height: int
    dpi: int | None = None


class OcrPage(Reply):
    """A page as `crispvl.Page.to_dict` gives it, and as Mistral's interface names things."""

    index: int
    """Counted from 0."""
    number: int
    """Counted from 1."""
    text: str
    markdown: str
    dimensions: OcrDimensions
    images: list[JsonObject] = Field(default_factory=list)


class OcrUsage(Reply):
    pages_processed: int
    doc_size_bytes: int
    prompt_tokens: int
    completion_tokens: int


class OcrReply(Reply):
    """A document as `crispvl.Document.to_dict` gives it, and Mistral's names beside."""

    object: Literal["ocr"] = "ocr"
    id: str | None = None
    """Where it is kept: ``/v1/ocr/ID?format=…``."""
    model: str
    text: str
    pages: list[OcrPage]
    usage_info: OcrUsage


class DocumentOpened(Reply):
    n_pages: int
    numbers: list[int]
    """Of the pages that will be read."""
    model: str


class PageEvent(Reply):
    """What an event says about a page; further fields depend on its kind."""

    number: int


class LineEvent(PageEvent):
    line: JsonObject
    """Text, confidence and place, as in a page's ``lines``."""


class PageShown(PageEvent):
    """A page that is about to be read."""

    width: int
    height: int
    grid: tuple[int, int]
    """Columns and rows of the tiles in which the model sees it."""
    image: str | None = None
    """A ``data:`` address, of at most 1600 px."""
