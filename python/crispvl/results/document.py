"""What was read: a `Document` of `Page` objects. Frozen; ``to_dict`` gives plain JSON.

`crispvl.results.formats` lists what they are written as.
"""

from __future__ import annotations

import json
import os
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crispvl.hub.model_file import ModelFile
from crispvl.results.alto import to_alto
from crispvl.results.generation import Confidence, FinishReason, Generation, Timings
from crispvl.results.hocr import to_hocr
from crispvl.results.html import to_html
from crispvl.results.json_lines import to_jsonl
from crispvl.results.markdown import to_markdown
from crispvl.results.page import PAGE_BREAK, Flag, Page, describe_error
from crispvl.results.searchable_pdf import write_pdf
from crispvl.results.tables import to_csv
from crispvl.results.tsv import to_tsv

if TYPE_CHECKING:
    from crispvl.inputs.images import ImageLike


@dataclass(frozen=True, kw_only=True)
class Document:
    """What was read from one document; ``str()`` of it is the text.

    If nothing could be read at all, ``error`` holds the exception and there are no pages; only
    `CrispOCR.recognize_many` returns such documents. A page that failed holds its own ``error``.
    """

    source: str
    pages: tuple[Page, ...] = ()
    n_pages: int = 0
    """Pages that were to be read; more than ``pages`` holds where the reading was stopped."""
    stopped: Literal["cancelled", "time_limit"] | None = None
    """What ended the reading before the last page; None where it came to its end."""
    model: ModelFile | None = None
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What it was read with: prompt, task, tiles, limits and sampling."""
    error: Exception | None = None

    @property
    def text(self) -> str:
        """The texts of the pages in order, `PAGE_BREAK` between them."""
        return PAGE_BREAK.join(page.text for page in self.pages)

    @property
    def generation(self) -> Generation | None:
        """That of the only page; None if there are several or the model was not asked."""
        return self.pages[0].generation if len(self.pages) == 1 else None

    @property
    def finish_reason(self) -> FinishReason | None:
        """``stop`` if every page that could be read was read to its end; else the first reason."""
        reasons = [page.finish_reason for page in self.pages if page.finish_reason]
        if self.stopped is not None:
            reasons.append(self.stopped)
        return next((reason for reason in reasons if reason != "stop"), next(iter(reasons), None))

    @property
    def confidence(self) -> float:
        """Mean token probability over all pages, 0 if nothing was read."""
        return self.token_confidence.mean

    @property
    def token_confidence(self) -> Confidence:
        return Confidence.of(
            [p for page in self.pages if page.generation for p in page.generation.all_logprobs]
        )

    @property
    def flags(self) -> tuple[Flag, ...]:
        """The flags of all pages, in alphabetical order."""
        flags: set[Flag] = {flag for page in self.pages for flag in page.flags}
        if self.stopped is not None:
            flags.add("truncated")
        return tuple(sorted(flags))

    @property
    def failed_pages(self) -> tuple[Page, ...]:
        return tuple(page for page in self.pages if page.error is not None)

    @property
    def n_tiles(self) -> int:
        return sum(page.n_tiles for page in self.pages)

    @property
    def timings(self) -> Timings:
        return sum((page.timings for page in self.pages), Timings())

    def only(self, numbers: Container[int]) -> Document:
        """Returns the document with some of its pages."""
        return replace(self, pages=tuple(page for page in self.pages if page.number in numbers))

    def __str__(self) -> str:
        return self.text

    def to_markdown(self) -> str:
        """Returns the text, with a comment before each page that failed or was flagged."""
        return to_markdown(self)

    def to_html(self) -> str:
        """Returns a whole HTML file, doubtful words marked."""
        return to_html(self)

    def to_hocr(self) -> str:
        """Returns a whole hOCR file: lines and words with their boxes and confidence."""
        return to_hocr([self])

    def to_alto(self) -> str:
        """Returns a whole ALTO 4 file: blocks, lines and words with their boxes and confidence."""
        return to_alto([self])

    def to_tsv(self) -> str:
        """Returns tab-separated rows with Tesseract's columns, down to the boxes of words."""
        return to_tsv([self])

    def to_csv(self) -> str:
        """Returns the tables of all pages, separated by empty lines."""
        return to_csv(table for page in self.pages for table in page.tables)

    def to_json(self) -> str:
        """Returns `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_jsonl(self) -> str:
        """Returns a line of JSON per page, each complete in itself."""
        return to_jsonl(self)

    def to_pdf(
        self,
        output: str | os.PathLike[str],
        source: ImageLike | None = None,
        password: str | None = None,
    ) -> tuple[int, ...]:
        """Writes a searchable PDF: the pages as they look, with the text invisible on top.

        See `crispvl.results.searchable_pdf` for where on the page the text is put.

        Returns:
            The numbers of the pages that already held text, which they keep.

        Args:
            output: The file to write.
            source: What was read; may be left out if it was a file that still exists and whose
                name is UTF-8.
            password: Of an encrypted document; the result has none.

        Raises:
            ImportError: OCRmyPDF is not installed.
            FileNotFoundError: The source no longer exists.
            ValueError: The source is a web address.
            DocumentError: It is damaged, or lacks a page that was read, or OCRmyPDF cannot make a
                PDF of it.
        """
        return write_pdf(self, self.source if source is None else source, Path(output), password)

    def to_dict(self) -> dict[str, Any]:
        """Returns the document as JSON's types; times in milliseconds.

        The model file is hashed once for this, which takes about a second per gigabyte.
        """
        generations = [page.generation for page in self.pages if page.generation]
        return {
            "source": self.source,
            "text": self.text,
            "flags": list(self.flags),
            "finish_reason": self.finish_reason,
            "confidence": self.confidence,
            "token_confidence": asdict(self.token_confidence) if generations else None,
            "tiles": self.n_tiles,
            "prompt_tokens": sum(generation.n_prompt_tokens for generation in generations),
            "tokens": sum(len(generation.ids) for generation in generations),
            "timings": self.timings.to_dict(),
            "n_pages": self.n_pages,
            "pages": [page.to_dict() for page in self.pages],
            "model": self.model.to_dict() if self.model else None,
            "settings": dict(self.settings),
            "error": describe_error(self.error),
        }
