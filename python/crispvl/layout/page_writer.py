"""What a page's text is made of for each task, in the order in which it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from crispvl.options import Task
from crispvl.results.lines import Line, Word

if TYPE_CHECKING:
    from crispvl._core import Layout, PlacedLine, ReadLine


class PageWriter:
    """Writes the text of a page from its lines, part by part, as they are read.

    Args:
        layout: Of the page.
        as_markdown: Whether the text is Markdown, block by block, or plain, row by row.
        only_tables: Whether all but tables is left out.
    """

    def __init__(self, layout: Layout, as_markdown: bool, only_tables: bool) -> None:
        from crispvl import _core

        self._writer = _core.PageWriter(layout, as_markdown, only_tables)
        self._lines: list[Line] = []

    @property
    def text(self) -> str:
        return self._writer.text

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._lines)

    @property
    def waiting(self) -> tuple[int, ...]:
        """The numbers of the lines that are needed next; none at the end."""
        return tuple(self._writer.waiting)

    def put(self, lines: Mapping[int, ReadLine]) -> tuple[str, list[Line]]:
        """Adds the lines that were waited for, and returns what is new: of the text, of lines."""
        text, placed = self._writer.put(dict(lines))
        written = [_line(line) for line in placed]
        self._lines += written
        return text, written

    @property
    def markdown(self) -> str:
        """All that was added so far, as Markdown."""
        return self._writer.markdown


def page_writer(task: Task, layout: Layout) -> PageWriter:
    """Returns the writer of a page for a task that is read by lines."""
    return PageWriter(layout, as_markdown=task != "text", only_tables=task == "table")


def _line(line: PlacedLine) -> Line:
    words = tuple(
        Word(text=word.text, start=word.start, confidence=word.confidence, quad=word.quad)
        for word in line.words
    )
    return Line(
        text=line.text, start=line.start, confidence=line.confidence, words=words,
        quad=line.quad, block=line.block,
    )  # fmt: skip
