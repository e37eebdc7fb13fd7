"""Text in the making: words of lines, and what is between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from crispvl.layout.joining import ReadLine
from crispvl.results.lines import Line, Word


class TextBuilder:
    """A page's text and the place of every line and word in it.

    Attributes:
        text: So far.
        lines: So far, in the text's order.
    """

    def __init__(self) -> None:
        self.text = ""
        self.lines: list[Line] = []
        self._between = ""

    def separate(self, between: str) -> None:
        """Sets what is between the text so far and what is put next, if anything is."""
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
            i_block: Number of its block.
            texts: What to write for its words, where that is not what was read.
        """
        written = [word.text for word in line.words] if texts is None else list(texts)
        if not any(written):
            return
        self.put("")
        start, words = len(self.text), []
        for text, word in zip(written, line.words, strict=True):
            if not text:
                continue
            if len(self.text) > start:
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


def put_row(builder: TextBuilder, lines: Sequence[ReadLine], first: bool) -> None:
    """Adds a row of plain text.

    Args:
        builder: Takes it.
        lines: Of the row, from left to right.
        first: Whether a block begins with it, which an empty line parts from what was before.
    """
    builder.separate("\n\n" if first else "\n")
    for line in lines:
        builder.put_line(line, line.block)
        builder.separate(" ")
