"""What a page's text is made of for each task, in the order in which it is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from crispvl.layout.columns import cells_of
from crispvl.layout.composition import TextBuilder, put_row
from crispvl.layout.joining import ReadLine
from crispvl.layout.markdown import MarkdownWriter, blocks_of
from crispvl.layout.text_rows import text_rows
from crispvl.options import Task
from crispvl.results.lines import Line

if TYPE_CHECKING:
    from crispvl._core import Layout


class PageWriter:
    """Writes the text of a page from its lines, part by part, as they are read.

    Args:
        layout: Of the page.
        as_markdown: Whether the text is Markdown, block by block, or plain, row by row.
        only_tables: Whether all but tables is left out.
    """

    def __init__(self, layout: Layout, as_markdown: bool, only_tables: bool) -> None:
        rows = list(text_rows(layout))
        parts = list(blocks_of(rows))
        if only_tables:
            parts = [part for part in parts if cells_of(layout.lines, [row.lines for row in part])]
        self._layout = layout
        self._builder = TextBuilder()
        self._markdown = MarkdownWriter(self._builder, layout) if as_markdown else None
        self._parts = deque(parts if as_markdown else [(row,) for row in rows])
        self._blocks = parts
        self._read: dict[int, ReadLine] = {}

    @property
    def text(self) -> str:
        return self._builder.text

    @property
    def lines(self) -> tuple[Line, ...]:
        return tuple(self._builder.lines)

    @property
    def waiting(self) -> tuple[int, ...]:
        """The numbers of the lines that are needed next; none at the end."""
        return tuple(i for row in self._parts[0] for i in row.lines) if self._parts else ()

    def put(self, lines: Mapping[int, ReadLine]) -> tuple[str, list[Line]]:
        """Adds the lines that were waited for, and returns what is new: of the text, of lines."""
        part = self._parts.popleft()
        self._read.update(lines)
        n_before, n_lines_before = len(self._builder.text), len(self._builder.lines)
        if self._markdown is not None:
            self._markdown.put_block(part, lines)
        else:
            (row,) = part
            put_row(self._builder, [lines[i] for i in row.lines if i in lines], row.first)
        return self._builder.text[n_before:], self._builder.lines[n_lines_before:]

    @property
    def markdown(self) -> str:
        """All that was added so far, as Markdown."""
        if self._markdown is not None:
            return self.text
        builder = TextBuilder()
        writer = MarkdownWriter(builder, self._layout)
        for block in self._blocks:
            writer.put_block(block, self._read)
        return builder.text


def page_writer(task: Task, layout: Layout) -> PageWriter:
    """Returns the writer of a page for a task that is read by lines."""
    return PageWriter(layout, as_markdown=task != "text", only_tables=task == "table")
