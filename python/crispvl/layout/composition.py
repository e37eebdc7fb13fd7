"""A page's text from its lines, with the place of every line and word in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crispvl.layout.joining import ReadLine
from crispvl.results.lines import Line, Word

if TYPE_CHECKING:
    from crispvl import _core


class TextBuilder:
    """Text in the making: words of lines, and what stands between them.

    Attributes:
        text: So far.
        lines: So far, in the text's order.
    """

    def __init__(self) -> None:
        self.text = ""
        self.lines: list[Line] = []
        self._between = ""

    def separate(self, between: str) -> None:
        """Sets what stands between the text so far and what is put next, if anything is."""
        if self.text:
            self._between = between

    def put(self, text: str) -> None:
        """Adds what is no word of the page."""
        self.text += self._between + text
        self._between = ""

    def put_line(self, line: ReadLine, i_block: int, texts: Sequence[str] | None = None) -> None:
        """Adds the words of a line with spaces between them.

        Args:
            line: As it was read.
            i_block: In which it stands.
            texts: What to write for its words, where that is not what was read.
        """
        written = [word.text for word in line.words] if texts is None else list(texts)
        if not any(written):
            return
        self.put("")
        start, words = len(self.text), []
        for text, word in zip(written, line.words, strict=True):
            if len(self.text) > start and text:
                self.text += " "
            words.append(
                Word(
                    text=text, start=len(self.text), confidence=math.exp(word.logprob),
                    quad=word.quad,
                )
            )  # fmt: skip
            self.text += text
        self.lines.append(
            Line(
                text=self.text[start:], start=start, confidence=math.exp(line.logprob),
                words=tuple(words), quad=line.quad, block=i_block,
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Unit:
    """What is added to the text at once: lines that belong together.

    Attributes:
        i_block: In which they stand.
        lines: Their numbers on the page.
        first: Whether a block begins with them.
    """

    i_block: int
    lines: tuple[int, ...]
    first: bool


def text_units(layout: _core.Layout) -> Iterator[Unit]:
    """Yields the lines of a page one by one in reading order; cells of a table row together."""
    for i_block, block in enumerate(layout.blocks):
        first, row = True, None
        cells: list[int] = []
        for i_line in block.lines:
            cell = layout.lines[i_line].cell
            if cells and (cell is None or cell[0] != row):
                yield Unit(i_block, tuple(cells), first)
                first, cells = False, []
            row = None if cell is None else cell[0]
            cells.append(i_line)
            if cell is None:
                yield Unit(i_block, tuple(cells), first)
                first, cells = False, []
        if cells:
            yield Unit(i_block, tuple(cells), first)


def put_text(builder: TextBuilder, unit: Unit, lines: Sequence[ReadLine]) -> None:
    """Adds a unit as lines of plain text, with an empty line before a block."""
    builder.separate("\n\n" if unit.first else "\n")
    for line in lines:
        builder.put_line(line, unit.i_block)
        builder.separate(" ")
