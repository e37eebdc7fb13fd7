"""One page of what was read, and what the formats need of the document it belongs to."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

from crispvl.hub.model_file import ModelFile
from crispvl.inputs.utf8 import encodable
from crispvl.options import Layout
from crispvl.results.generation import FinishReason, Generation, Timings
from crispvl.results.grounding import Box, find_boxes
from crispvl.results.lines import Block, Line, Word, lines_of_text
from crispvl.results.regions import Region, find_regions
from crispvl.results.tables import Table, find_tables

Flag = Literal["blank", "damaged", "empty", "low_confidence", "repetition", "truncated"]
"""``blank``: no ink, so the model was not asked; ``damaged``: the file's data is, and what could
be decoded of it was read; ``empty``: there is ink, but the model wrote nothing;
``low_confidence``: the mean probability is under `LOW_CONFIDENCE`; ``repetition``: the model
repeated itself, see the generation's ``repairs``; ``truncated``: the text ends before the page
does."""

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
    damaged: bool = False
    """Whether its file's data is damaged, so that some of the page may be missing or wrong."""
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

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(
                f"[Page] expected a number counted from 1; found {self.number}; number the pages "
                "as they are in their document"
            )

    @property
    def text(self) -> str:
        if self.generation:
            return self.generation.text
        return "\n".join(line.text for line in self.placed_lines)  # of a page made by hand

    @property
    def marked_text(self) -> str:
        """The text as Markdown where it was read by lines, whatever the task; else the text."""
        return self.text if self.markdown is None else self.markdown

    @property
    def finish_reason(self) -> FinishReason | None:
        """None if the page could not be read; ``stop`` for a blank page."""
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
        if self.damaged:
            flags.append("damaged")
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

    @property
    def thought(self) -> str:
        """What the model wrote for itself before the text; see `regions`."""
        return self.generation.thought if self.generation else ""

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The parts of the page in reading order, where the model thought about its layout."""
        return find_regions(self.thought, self.width_px, self.height_px)

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """The tables of `marked_text`, Markdown's or HTML's, as rows of cells."""
        return find_tables(self.marked_text)

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
            "thought": self.thought,
            "regions": [region.to_dict() for region in self.regions],
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


class DocumentLike(Protocol):
    """What formats are made of: a `Document`."""

    @property
    def source(self) -> str: ...

    @property
    def pages(self) -> Sequence[Page]: ...

    @property
    def model(self) -> ModelFile | None: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...

    @property
    def error(self) -> Exception | None: ...


def describe_error(error: Exception | None) -> dict[str, str] | None:
    """Returns an exception as JSON's types."""
    if error is None:
        return None
    return {"type": type(error).__name__, "message": encodable(str(error))}
