"""Tables in what a model wrote, Markdown's or HTML's, as rows of cells, and as CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser

Table = tuple[tuple[str, ...], ...]

MAX_SPAN = 100
"""Most rows or columns that one cell is spread over, whatever it claims."""

_HTML_MARK = re.compile(r"<table\b|(</table\s*>)", re.IGNORECASE)
_ROW_GROUPS = ("thead", "tbody", "tfoot")
_RULE = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*")
_NO_LINE_END = re.compile(r"[^\r\n]")
_SPAN = re.compile(r"\s*\+?([0-9]+)")  # what follows is ignored (HTML, 2.3.4.1)
_CELL_END = re.compile(r"(?<!\\)\|")


def find_tables(text: str) -> tuple[Table, ...]:
    """Returns the tables of a text in order. A cell that spans others is repeated in each."""
    found: list[tuple[int, Table]] = []
    rest = text
    for start, end in _html_spans(text):
        parser = _TableParser()
        parser.feed(text[start:end])
        parser.close()
        found.extend((start, table) for table in parser.tables())
        hidden = _NO_LINE_END.sub(" ", text[start:end])  # lines and places stay as they are
        rest = rest[:start] + hidden + rest[end:]
    found.extend(_pipe_tables(rest))
    return tuple(table for _, table in sorted(found, key=lambda pair: pair[0]) if table)


def to_csv(tables: Iterable[Table]) -> str:
    """Returns tables as CSV, an empty line between two."""
    parts = []
    for table in tables:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(table)
        parts.append(buffer.getvalue())
    return "\n".join(parts)


def _html_spans(text: str) -> Iterable[tuple[int, int]]:
    """Yields start and end of each outermost HTML table; one that is not closed ends the text."""
    start = depth = 0
    for mark in _HTML_MARK.finditer(text):
        if mark[1] is None:
            start = mark.start() if depth == 0 else start
            depth += 1
        elif depth > 0:
            depth -= 1
            if depth == 0:
                yield start, mark.end()
    if depth > 0:
        yield start, len(text)


def _pipe_tables(text: str) -> Iterable[tuple[int, Table]]:
    """Yields place and table wherever a line of cells is followed by a rule (``|---|---|``)."""
    lines = text.splitlines(keepends=True)
    place = i = 0
    while i < len(lines):
        if i + 1 < len(lines) and _is_head(lines[i], lines[i + 1].rstrip("\n")):
            start, rows = place, [_cells(lines[i])]
            place += len(lines[i]) + len(lines[i + 1])
            i += 2
            while i < len(lines) and "|" in lines[i]:
                rows.append(_cells(lines[i]))
                place += len(lines[i])
                i += 1
            width = max(map(len, rows))
            yield start, tuple((*row, *[""] * (width - len(row))) for row in rows)
        else:
            place += len(lines[i])
            i += 1


def _is_head(line: str, below: str) -> bool:
    """Returns whether a line is a table's first: its cells and the rule below it fit.

    Models miscount the columns of a rule. One column under several is something else, such as the
    underline of a heading.
    """
    if "|" not in line or not _RULE.fullmatch(below):
        return False
    n_ruled = len(_cells(below))
    return n_ruled > 1 or ("|" in below and len(_cells(line)) == n_ruled)


def _cells(line: str) -> tuple[str, ...]:
    line = line.strip().removeprefix("|")
    if line.endswith("|") and not line.endswith("\\|"):
        line = line[:-1]
    return tuple(cell.strip().replace("\\|", "|") for cell in _CELL_END.split(line))


@dataclass
class _Growing:
    """A cell that reaches into rows to come."""

    columns: range
    text: str
    n_left: float
    """Rows, or infinity."""


class _TableParser(HTMLParser):
    """Takes the cells of HTML tables and puts them where their spans leave room.

    A table within a cell is text of that cell: its cells side by side, its rows as lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tables: list[Table] = []
        self._inner: list[int] = []  # of each table that is open within the cell, its rows so far
        self._begin_table()

    def _begin_table(self) -> None:
        self._cells: dict[tuple[int, int], str] = {}
        self._row = -1
        self._column = 0
        self._span = (1, 1)
        self._text: list[str] | None = None
        self._growing: list[_Growing] = []

    def tables(self) -> list[Table]:
        """Returns the tables of the text that was fed."""
        self._end_table()
        return self._tables

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            if self._text is None:
                self._end_table()
            else:
                self._inner.append(0)
        elif self._inner:
            self._separate_inner(tag)
        elif tag == "tr":
            self._begin_row()
        elif tag in ("td", "th"):
            self._end_cell()
            if self._row < 0:
                self._begin_row()
            given = dict(attrs)
            self._span = _span(given.get("rowspan"), least=0), _span(given.get("colspan"), least=1)
            self._text = []
        elif tag in _ROW_GROUPS:
            self._end_group()
        elif tag == "br":
            self.handle_data("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._inner:
            if tag == "table":
                self._inner.pop()
                self.handle_data(" ")
        elif tag == "table":
            self._end_table()
        elif tag in ("td", "th", "tr"):
            self._end_cell()
        elif tag in _ROW_GROUPS:
            self._end_group()

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def _separate_inner(self, tag: str) -> None:
        if tag == "tr":
            self._inner[-1] += 1
            self.handle_data("\n" if self._inner[-1] > 1 else " ")
        elif tag in ("td", "th"):
            self.handle_data(" ")
        elif tag == "br":
            self.handle_data("\n")

    def _end_table(self) -> None:
        self._end_cell()
        if self._cells:
            n_columns = 1 + max(column for _, column in self._cells)
            rows = range(self._row + 1)
            self._tables.append(
                tuple(
                    tuple(self._cells.get((row, column), "") for column in range(n_columns))
                    for row in rows
                )
            )
        self._begin_table()

    def _begin_row(self) -> None:
        self._end_cell()
        self._row += 1
        self._column = 0
        for cell in self._growing:
            self._fill(cell.columns, cell.text)
            cell.n_left -= 1
        self._growing = [cell for cell in self._growing if cell.n_left > 0]

    def _end_group(self) -> None:
        """Ends a group of rows; no cell reaches out of it."""
        self._end_cell()
        self._growing = []

    def _end_cell(self) -> None:
        if self._text is None:
            return
        lines = "".join(self._text).strip().split("\n")
        text = "\n".join(" ".join(line.split()) for line in lines)
        self._text = None
        while (self._row, self._column) in self._cells:
            self._column += 1
        n_rows, n_columns = self._span
        columns = range(self._column, self._column + n_columns)
        self._fill(columns, text)
        if n_rows != 1:
            n_left = n_rows - 1 if n_rows else math.inf  # 0: to the end of the group
            self._growing.append(_Growing(columns, text, n_left))
        self._column += n_columns

    def _fill(self, columns: range, text: str) -> None:
        for column in columns:
            self._cells[self._row, column] = text


def _span(value: str | None, least: int) -> int:
    found = _SPAN.match(value or "")
    n = int(found[1][:9]) if found else 1
    return min(n, MAX_SPAN) if n >= least else 1
