"""What was read: a `Document` of `Page` objects. Frozen; ``to_dict`` gives plain JSON.

`crispvl.results.formats` writes them as Markdown, HTML and JSON Lines.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from crispvl.hub.model_file import ModelFile
from crispvl.inputs.utf8 import encodable
from crispvl.options import Layout
from crispvl.results.generation import Confidence, FinishReason, Generation, Timings
from crispvl.results.grounding import Box, find_boxes
from crispvl.results.lines import Block, Line, Word, lines_of_text
from crispvl.results.tables import Table, find_tables, to_csv

if TYPE_CHECKING:
    from crispvl.inputs.images import ImageLike

Flag = Literal["blank", "empty", "low_confidence", "repetition", "truncated"]
"""``blank``: no ink, so the model was not asked; ``empty``: there is ink, but the model wrote
nothing; ``low_confidence``: the mean probability is under `LOW_CONFIDENCE`; ``repetition``: the
model repeated itself, see the generation's ``repairs``;
``truncated``: the text ends before the page does."""

LOW_CONFIDENCE = 0.7
"""Pages on which the model's mean token probability is lower deserve a person's look."""

PAGE_BREAK = "\n\n"
"""Stands between the texts of two pages."""

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, kw_only=True)
class Page:
    """One page: its text, how sure it is, and what went wrong."""

    number: int
    """Counted from 1."""
    name: str = ""
    width_px: int = 0
    height_px: int = 0
    grid: tuple[int, int] = (0, 0)
    """Columns and rows of tiles, the thumbnail left out."""
    n_tiles: int = 0
    """Tiles encoded, the thumbnail included."""
    generation: Generation | None = field(default=None, repr=False)
    """None where the model was not asked: the page is blank, or could not be loaded."""
    timings: Timings = field(default_factory=Timings)
    blank: bool = False
    has_unread_ink: bool = False
    """Whether the model wrote nothing about a page that has ink."""
    layout: Layout = "page"
    """How it was shown to the model; never ``auto``."""
    placed_lines: tuple[Line, ...] = field(default=(), repr=False)
    """The lines of the text with their places, where it was read by lines."""
    blocks: tuple[Block, ...] = field(default=(), repr=False)
    """In reading order, where it was read by lines."""
    markdown: str | None = field(default=None, repr=False)
    """The text with headings, lists and tables marked, where it was read by lines."""
    groundedness: float | None = None
    """Nats per token by which the image makes the answer likelier than a blank one; where asked."""
    boxed_text: str | None = field(default=None, repr=False)
    """The text with its ``<ref>`` and ``<box>`` tokens, where the model wrote any."""
    error: Exception | None = None

    @property
    def text(self) -> str:
        return self.generation.text if self.generation else ""

    @property
    def finish_reason(self) -> FinishReason | None:
        """None where the page could not be read; a blank page is at its end."""
        if self.generation:
            return self.generation.finish_reason
        return "stop" if self.blank else None

    @property
    def confidence(self) -> float:
        """Mean token probability: exp of the mean log-probability, 0 without tokens."""
        return self.generation.confidence.mean if self.generation else 0.0

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What a reader of the text should know, in alphabetical order."""
        flags: list[Flag] = ["blank"] if self.blank else []
        if self.has_unread_ink:
            flags.append("empty")
        if self.generation:
            if self.generation.ids and self.confidence < LOW_CONFIDENCE:
                flags.append("low_confidence")
            if self.generation.repairs:
                flags.append("repetition")
            if self.generation.finish_reason != "stop":
                flags.append("truncated")
        return tuple(flags)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        """The words of the text with the probability of each, and their places where known."""
        if self.placed_lines:
            return tuple(word for line in self.placed_lines for word in line.words)
        if not self.generation:
            return ()
        ends, lowest = [], []
        end = 0
        for piece, logprob in zip(self.generation.pieces, self.generation.logprobs, strict=True):
            end += len(piece)
            ends.append(end)
            lowest.append(logprob)
        words = []
        i = 0
        for match in _WORD.finditer(self.text):
            while i < len(ends) and ends[i] <= match.start():
                i += 1
            last = i
            while last < len(ends) - 1 and ends[last] < match.end():
                last += 1
            found = min(lowest[i : last + 1], default=0.0)
            words.append(Word(text=match[0], start=match.start(), confidence=math.exp(found)))
        return tuple(words)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        """The lines of the text that hold any, with their places where it was read by lines."""
        return self.placed_lines or lines_of_text(self.text, self.words)

    @cached_property
    def boxes(self) -> tuple[Box, ...]:
        """What the model located on the page, in the page's pixels."""
        return find_boxes(self.boxed_text or self.text, self.width_px, self.height_px)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables of the text, Markdown's or HTML's, as rows of cells."""
        return find_tables(self.text)

    def to_dict(self) -> dict[str, Any]:
        """Returns the page as JSON's types; times in milliseconds."""
        generation = self.generation
        return {
            "number": self.number,
            "text": self.text,
            "flags": list(self.flags),
            "finish_reason": self.finish_reason,
            "confidence": self.confidence,
            "token_confidence": asdict(generation.confidence) if generation else None,
            "layout": self.layout,
            "words": [word.to_list() for word in self.words],
            "lines": [line.to_dict() for line in self.lines],
            "boxes": [asdict(box) for box in self.boxes],
            "groundedness": self.groundedness,
            "repairs": [repair.to_dict() for repair in generation.repairs] if generation else [],
            "width_px": self.width_px,
            "height_px": self.height_px,
            "grid": list(self.grid),
            "tiles": self.n_tiles,
            "prompt_tokens": generation.n_prompt_tokens if generation else 0,
            "tokens": len(generation.ids) if generation else 0,
            "timings": self.timings.to_dict(),
            "error": describe_error(self.error),
        }


@dataclass(frozen=True, kw_only=True)
class Document:
    """What was read from one document; ``str()`` of it is the text.

    Where nothing could be read at all, ``error`` holds the exception and there are no pages; only
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
        """Of the only page; None where there are several, or the model was not asked."""
        return self.pages[0].generation if len(self.pages) == 1 else None

    @property
    def finish_reason(self) -> FinishReason | None:
        """``stop`` where every page that could be read was read to its end; else the first cut."""
        reasons = [page.finish_reason for page in self.pages if page.finish_reason]
        if self.stopped is not None:
            reasons.append(self.stopped)
        return next((reason for reason in reasons if reason != "stop"), next(iter(reasons), None))

    @property
    def confidence(self) -> float:
        """Mean token probability over all pages, 0 where nothing was read."""
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
        from crispvl.results.formats import to_markdown

        return to_markdown(self)

    def to_html(self) -> str:
        """Returns a whole HTML file, doubtful words marked."""
        from crispvl.results.html import to_html

        return to_html(self)

    def to_hocr(self) -> str:
        """Returns a whole hOCR file: lines and words with their boxes and confidence."""
        from crispvl.results.hocr import to_hocr

        return to_hocr([self])

    def to_alto(self) -> str:
        """Returns a whole ALTO 4 file: blocks, lines and words with their boxes and confidence."""
        from crispvl.results.alto import to_alto

        return to_alto([self])

    def to_tsv(self) -> str:
        """Returns tab-separated rows with Tesseract's columns, down to the boxes of words."""
        from crispvl.results.tsv import to_tsv

        return to_tsv([self])

    def to_csv(self) -> str:
        """Returns the tables of all pages, an empty line between two."""
        return to_csv(table for page in self.pages for table in page.tables)

    def to_json(self) -> str:
        """Returns `to_dict` as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_jsonl(self) -> str:
        """Returns a line of JSON per page, each complete in itself."""
        from crispvl.results.formats import to_jsonl

        return to_jsonl(self)

    def to_pdf(
        self,
        output: str | os.PathLike[str],
        source: ImageLike | None = None,
        password: str | None = None,
    ) -> None:
        """Writes a searchable PDF: the pages as they look, with the text invisible upon them.

        See `crispvl.results.searchable_pdf` for where on the page the text stands.

        Args:
            output: The file to write.
            source: What was read; may be left out where it was a file that is still there and
                whose name is UTF-8.
            password: Of an encrypted document; the result has none.

        Raises:
            ImportError: OCRmyPDF is not installed.
            FileNotFoundError: The source is not there any more.
            ValueError: The source is a web address.
            DocumentError: OCRmyPDF cannot make a PDF of it.
        """
        from crispvl.results.searchable_pdf import write_pdf

        write_pdf(self, self.source if source is None else source, Path(output), password)

    def to_dict(self) -> dict[str, Any]:
        """Returns the document as JSON's types; times in milliseconds.

        The model file is hashed for it once, which takes about a second per gigabyte.
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


def describe_error(error: Exception | None) -> dict[str, str] | None:
    """Returns an exception as JSON's types."""
    if error is None:
        return None
    return {"type": type(error).__name__, "message": encodable(str(error))}
