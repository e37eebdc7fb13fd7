"""Markdown of a page that was read by lines: paragraphs, headings, lists and tables.

What a line is follows from how it looks: a heading is larger or bolder than the page's text, a line
that ends early, though the next one's first word would have had room, ends on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from crispvl.layout.columns import Cell, cells_of
from crispvl.layout.composition import TextBuilder
from crispvl.layout.joining import ReadLine
from crispvl.layout.text_rows import TextRow
from crispvl.layout.typography import Typography

if TYPE_CHECKING:
    from crispvl._core import Layout

_BULLET = re.compile(r"[•·▪◦‣*–—-]")
_NUMBER = re.compile(r"(\d{1,3})[.)]")
_HYPHEN = re.compile(r"(.*\w)[-\u00ad\u2010]")


def blocks_of(rows: Sequence[TextRow]) -> Iterator[tuple[TextRow, ...]]:
    """Yields the rows of each block of text."""
    block: list[TextRow] = []
    for row in rows:
        if row.first and block:
            yield tuple(block)
            block = []
        block.append(row)
    if block:
        yield tuple(block)


class MarkdownWriter:
    """Adds the blocks of a page to a text.

    Args:
        builder: Takes them.
        layout: Of the page.
    """

    def __init__(self, builder: TextBuilder, layout: Layout) -> None:
        self._builder = builder
        self._lines = layout.lines
        self._looks = Typography(self._lines)

    def put_block(self, rows: Sequence[TextRow], read: Mapping[int, ReadLine]) -> None:
        """Adds a block.

        Args:
            rows: Of the block.
            read: What was read, by the numbers of the lines; lines without text may be missing.
        """
        kept = [[i for i in row.lines if i in read and read[i].words] for row in rows]
        kept = [row for row in kept if row]
        if not kept:
            return
        self._builder.separate("\n\n")
        cells = cells_of(self._lines, kept)
        if cells:
            self._put_table(cells, read)
            return
        level = self._looks.heading_level(kept)
        if level:
            self._builder.put("#" * level + " ")
            for i in (i for row in kept for i in row):
                self._builder.put_line(read[i], read[i].block)
                self._builder.separate(" ")
            return
        self._put_paragraphs(kept, read)

    def _put_paragraphs(self, rows: Sequence[Sequence[int]], read: Mapping[int, ReadLine]) -> None:
        for number, row in enumerate(rows):
            following = rows[number + 1] if number + 1 < len(rows) else None
            self._put_row(row, read, following)
            if following is None:
                return
            if _mark(read[following[0]]):
                self._builder.separate("\n")
            elif (
                len(row) > 1 or len(following) > 1 or self._looks.ends_early(row[-1], following[0])
            ):
                self._builder.separate("  \n")

    def _put_row(
        self, row: Sequence[int], read: Mapping[int, ReadLine], following: Sequence[int] | None
    ) -> None:
        for i in row:
            line = read[i]
            texts = [word.text for word in line.words]
            if i == row[0] and (mark := _mark(line)):
                self._builder.put(mark + " ")
                texts[0] = ""
            between = " "
            if i == row[-1] and following is not None and len(row) == len(following) == 1:
                broken = _HYPHEN.fullmatch(texts[-1])
                if broken and read[following[0]].words[0].text[:1].islower():
                    texts[-1], between = broken[1], ""
            self._builder.put_line(line, line.block, texts)
            self._builder.separate(between)

    def _put_table(self, cell_of: Mapping[int, Cell], read: Mapping[int, ReadLine]) -> None:
        cells: dict[Cell, list[int]] = {}
        for i, cell in cell_of.items():
            cells.setdefault(cell, []).append(i)
        n_columns = max(column for _, column in cells) + 1
        is_head = True
        for _, places in groupby(sorted(cells), key=lambda cell: cell[0]):
            row = {column: cells[at, column] for at, column in places}
            for column in range(n_columns):
                self._builder.put("| " if column == 0 else " | ")
                for i in row.get(column, ()):
                    texts = [word.text.replace("|", "\\|") for word in read[i].words]
                    self._builder.put_line(read[i], read[i].block, texts)
                    self._builder.separate(" ")
                self._builder.separate("")
            self._builder.put(" |")
            if is_head:
                self._builder.put("\n" + "| --- " * n_columns + "|")
                is_head = False
            self._builder.separate("\n")


def _mark(line: ReadLine) -> str | None:
    """Returns Markdown's mark for a line that begins an item of a list."""
    if len(line.words) < 2:
        return None
    first = line.words[0].text
    if _BULLET.fullmatch(first):
        return "-"
    number = _NUMBER.fullmatch(first)
    return f"{number[1]}." if number else None
